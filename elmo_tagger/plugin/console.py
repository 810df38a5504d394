"""What the `allennlp` command shows: progress, warnings, errors in a line, a table at the end, predictions alone.

All else is in the log file of a run; `ALLENNLP_LOG_LEVEL=INFO` brings it back to the console.
"""

import functools
import inspect
import json
import logging
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Optional

from allennlp.commands import evaluate, predict, train
from allennlp.common import logging as allennlp_logging
from allennlp.models.model import Model

from elmo_tagger import startup
from elmo_tagger.plugin import plain_errors
from elmo_tagger.plugin.embedder import ElmoHdf5Embedder
from elmo_tagger.plugin.model import ElmoBilstmCrf
from elmo_tagger.plugin.score_table import score_table
from elmo_tagger.text.outputs import Output

BATCH_SIZE = 32
"""Inputs that `allennlp predict` takes at once unless told otherwise."""
METRICS = "metrics.json"
BEST = "best_validation_"
TEST = "test_"
FRIENDLY = "file_friendly_logging"


def install() -> None:
    """Changes what the `allennlp` command shows; other programs that import the plugin are left alone."""
    if startup.allennlp_command() is None:
        return
    plain_errors.install()
    if startup.wants_quiet_console():
        log_to_files()
    print_scores()
    print_predictions_alone()


def log_to_files() -> None:
    """Leaves warnings and errors on the console, without dates and the names of loggers; the log file has all."""
    prepare = allennlp_logging.prepare_global_logging

    @functools.wraps(prepare)
    def prepare_global_logging(*args: Any, **kwargs: Any) -> None:
        prepare(*args, **kwargs)
        _quieten()

    allennlp_logging.prepare_global_logging = prepare_global_logging
    _quieten()


def _quieten() -> None:
    startup.quieten()
    for handler in logging.getLogger().handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.setFormatter(_ConsoleFormatter())


class _ConsoleFormatter(logging.Formatter):
    """`warning: ...` or `error: ...`, with the traceback where there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        kind = "warning" if record.levelno < logging.ERROR else "error"
        return f"{kind}: {record.message}"


def nobody_watches() -> bool:
    """Whether progress is to be lines now and then (AllenNLP's `--file-friendly-logging`), as in a file."""
    return not sys.stderr.isatty()


def print_scores() -> None:
    """Makes `allennlp train` and `allennlp evaluate` end with a table of the scores, and progress fit where it goes."""
    # The functions of the parsed command line call these; they are bound before plugins are imported.
    begin, assess = train.train_model_from_file, evaluate.evaluate_from_archive

    @functools.wraps(begin)
    def train_model_from_file(parameter_filename: Any, serialization_dir: Any, *args: Any, **kwargs: Any) -> Any:
        model = begin(parameter_filename, serialization_dir, *args, **_for_a_file(kwargs))
        print(summary(Path(serialization_dir)), end="")
        return model

    @functools.wraps(assess)
    def evaluate_from_archive(archive_file: Any, input_file: str, *args: Any, **kwargs: Any) -> Dict[str, Any]:
        kwargs = _for_a_file(kwargs)
        given = inspect.signature(assess).bind(archive_file, input_file, *args, **kwargs).arguments
        for output in ("metrics_output_file", "predictions_output_file"):
            _check_output(given.get(output), [archive_file, *input_file.split(",")])
        metrics: Dict[str, Any] = assess(archive_file, input_file, *args, **kwargs)
        files = [Path(name).stem for name in input_file.split(",")]
        if len(files) == 1:
            sides = {files[0]: metrics}
        else:
            sides = {name: _with_prefix(metrics, f"{name}_") for name in files}
        print(score_table(sides), end="")
        return metrics

    train.train_model_from_file, evaluate.evaluate_from_archive = train_model_from_file, evaluate_from_archive


def _for_a_file(arguments: Dict[str, Any]) -> Dict[str, Any]:
    """The keyword arguments that the command line gives, progress in lines where it goes to no terminal."""
    return {**arguments, FRIENDLY: True} if arguments.get(FRIENDLY) is False and nobody_watches() else arguments


def summary(run: Path) -> str:
    """The scores of a training's best epoch and where its archive lies; nothing of a run without metrics."""
    if not (run / METRICS).exists():  # --dry-run
        return ""
    return f"{score_table(scores_of_run(run))}archive: {run / 'model.tar.gz'}\n"


def scores_of_run(run: Path) -> Dict[str, Dict[str, Any]]:
    """Metrics of a training's best epoch on the development set, and of the test set, by name; empty without one."""
    metrics = json.loads((run / METRICS).read_text(encoding="utf-8"))
    return {"development": _with_prefix(metrics, BEST), "test": _with_prefix(metrics, TEST)}


def _with_prefix(metrics: Dict[str, Any], prefix: str) -> Dict[str, Any]:
    return {name[len(prefix) :]: value for name, value in metrics.items() if name.startswith(prefix)}


def print_predictions_alone() -> None:
    """Makes `allennlp predict` print one JSON object a line and nothing else, and take several inputs at once.

    That concerns models with parts of this package. Lines typed into a terminal are answered one by one.
    """
    manager = predict._PredictManager
    begin, write = manager.__init__, manager._maybe_print_to_console_and_file

    def __init__(self: Any, predictor: Any, input_file: str, output_file: Any, batch_size: int, *rest: Any) -> None:
        _check_output(output_file, [input_file])
        self._prints_alone = _is_ours(predictor._model)
        line_by_line = input_file == "-" and sys.stdin.isatty()
        # the command line was parsed before plugins are imported, with AllenNLP's own default
        if self._prints_alone and not line_by_line and not any(each.startswith("--b") for each in sys.argv):
            batch_size = BATCH_SIZE
        begin(self, predictor, input_file, output_file, batch_size, *rest)

    def _maybe_print(self: Any, index: int, prediction: str, model_input: Optional[str] = None) -> None:
        if self._prints_alone and self._print_to_console:
            sys.stdout.write(prediction)
        show, self._print_to_console = self._print_to_console, self._print_to_console and not self._prints_alone
        try:
            write(self, index, prediction, model_input)
        finally:
            self._print_to_console = show

    manager.__init__, manager._maybe_print_to_console_and_file = __init__, _maybe_print


def _check_output(path: Any, inputs: Iterable[Any]) -> None:
    """Refuses to write over what is read, which AllenNLP would empty before it reads it; other files it replaces."""
    if path is not None:
        Output(path, inputs=inputs, force=True)


def _is_ours(model: Model) -> bool:
    return any(isinstance(part, (ElmoBilstmCrf, ElmoHdf5Embedder)) for part in model.modules())
