"""How a training begins: what it needs is looked at first, and one that comes to nothing leaves nothing."""

import functools
import json
import os
import secrets
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from allennlp.commands import train
from allennlp.common.checks import ConfigurationError
from allennlp.common.params import Params
from allennlp.models.model import Model
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_tagger.bilm.loading.bundled import BUNDLED
from elmo_tagger.plugin.plain_errors import INTERRUPTIONS, NOTHING_SAVED

DATA_PATHS = ("train_data_path", "validation_data_path", "test_data_path")
FILES = ("options_file", "weight_file", "pretrained_file", "vocabulary_file")
"""Keys whose values are paths or URLs, wherever they stand in a config."""
RESULTS = ("metrics_epoch_*.json", "model_state_*", "training_state_*", "best.th", "weights.th", "model.tar.gz")
"""What a training has come to: files of which one at least is in the folder of each that saved something."""


def look_before_training() -> None:
    """Makes `allennlp train` look for the files of its config first, and keep no folder of a training without results.

    AllenNLP reads all data before it opens the weights, and after a failure refuses to start again in the same folder.
    """
    begin = train.train_model

    @functools.wraps(begin)
    def train_model(
        params: Params,
        serialization_dir: Union[str, Path],
        recover: bool = False,
        force: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> Optional[Model]:
        config = params.as_dict(quiet=True)
        if not recover:  # which takes the biLM from its checkpoint
            check_files(config)
        with run_folder(serialization_dir, recover=recover, force=force, inputs=files_of(config)):
            # what is to be replaced has been moved away; AllenNLP would delete it
            return begin(params, serialization_dir, recover, force and recover, *args, **kwargs)

    train.train_model = train_model


def check_files(config: Dict[str, Any]) -> None:
    """Looks for the files that a config names.

    Data of other readers than ours is left to them, as a path may mean anything to a reader.

    Raises:
        ConfigurationError: One is missing; names its key.
    """
    reader = config.get("dataset_reader")
    ours = isinstance(reader, dict) and reader.get("type") == "conll_columns"
    for place, key, value in entries(config):
        wanted = key in FILES or (ours and place in DATA_PATHS)
        if not wanted or not isinstance(value, str) or value in BUNDLED or set(value) & set("*?[]!#") or "://" in value:
            continue
        path = Path(value).expanduser()
        if not path.is_file():
            problem = "is a directory, expected a file" if path.is_dir() else "no such file"
            raise ConfigurationError(f"{place}: {value}: {problem}")


def files_of(config: Dict[str, Any]) -> List[Path]:
    """The files that are there of those that a config names."""
    found = [value for _, key, value in entries(config) if key in FILES or key in DATA_PATHS]
    return [Path(value) for value in found if isinstance(value, str) and Path(value).exists()]


def entries(config: Any, place: str = "") -> Iterator[Tuple[str, str, Any]]:
    """Place, key and value of everything in a config that stands under a key."""
    children = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in children:
        where = f"{place}.{key}" if place else str(key)
        yield where, str(key), value
        yield from entries(value, where)


@contextmanager
def run_folder(folder: Union[str, Path], *, recover: bool, force: bool, inputs: Iterable[Path] = ()) -> Iterator[None]:
    """Within, a training writes to its folder; if it fails without results, all is as it was before.

    Args:
        folder: Of the training, or a link to it.
        recover: It goes on with what the folder holds.
        force: It replaces what the folder holds, which is kept until the training ends.
        inputs: What it reads, none of which is replaced.

    Raises:
        ConfigurationError: The folder holds something that the training may neither continue nor replace.
        OSError: What it holds cannot be moved away.
    """
    name, folder = folder, Path(os.path.realpath(folder))
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{name}: is a file, expected the name of a folder")
    existed, filled = folder.exists(), folder.is_dir() and any(folder.iterdir())
    if filled and not (recover or force):
        way = "--recover goes on with it, --force replaces it; or give" if is_run(folder) else "give"
        held = "a run already" if is_run(folder) else "files already"
        raise ConfigurationError(f"{name} holds {held}: {way} another folder")
    replaced = _moved_away(folder, str(name), inputs) if filled and force and not recover else None
    try:
        yield
    except BaseException as error:
        if not (filled and recover) and not any(any(folder.rglob(name)) for name in RESULTS):
            shutil.rmtree(folder, ignore_errors=True)
            if replaced is not None:
                replaced.rename(folder)
            elif existed:
                folder.mkdir()
            if isinstance(error, INTERRUPTIONS):
                error.args = (NOTHING_SAVED,)
        raise
    finally:
        if replaced is not None and replaced.exists():
            shutil.rmtree(replaced)


def _moved_away(folder: Path, name: str, inputs: Iterable[Path]) -> Path:
    """Leaves an empty folder in the place of a run's, which is beside it then."""
    if not is_run(folder):
        raise ConfigurationError(
            f"{name}: --force replaces the folder of a training, and this one holds other files: give another folder"
        )
    for path, use in [(Path.cwd(), "this is run in"), *((each, "the training reads") for each in inputs)]:
        if folder in (real := Path(os.path.realpath(path)), *real.parents):
            raise ConfigurationError(f"{name}: --force would replace {path}, which {use}: give another folder")
    beside = folder.with_name(f"{folder.name}.replaced-{secrets.token_hex(4)}")
    folder.rename(beside)
    folder.mkdir()
    return beside


def is_run(folder: Path) -> bool:
    """Whether a folder is that of a training, by `allennlp train` or `elmo-tagger train`."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        config = None
    written = any(any(folder.glob(name)) for name in ("*.log", *RESULTS))
    trained = isinstance(config, dict) and "dataset_reader" in config and written
    return trained or ((folder / "train.jsonnet").is_file() and (folder / "lib" / "tagger.libsonnet").is_file())


def check_validation_metric() -> None:
    """Makes a training fail before its first epoch, not after it, if its model will not report `validation_metric`."""
    build = GradientDescentTrainer.from_partial_objects.__func__

    @functools.wraps(build)
    def from_partial_objects(cls: Any, model: Model, *args: Any, **kwargs: Any) -> Any:
        metrics = kwargs.get("validation_metric") or "-loss"
        # other models may not be asked before they have seen data
        if getattr(model, "adds_metrics_when_reset", False) and kwargs.get("validation_data_loader") is not None:
            known = {"loss", *model.eval().get_metrics(reset=True)}
            for metric in [metrics] if isinstance(metrics, str) else metrics:
                _check_metric(metric, known, model)
        return build(cls, model, *args, **kwargs)

    GradientDescentTrainer.from_partial_objects = classmethod(from_partial_objects)


def _check_metric(metric: str, known: Any, model: Model) -> None:
    if metric.lstrip("+-") in known:
        return
    scheme = 'entities are counted if the model has a "label_encoding", such as "BIOUL"; '
    hint = scheme if "f1" in metric and getattr(model, "label_encoding", "") is None else ""
    raise ConfigurationError(f"trainer.validation_metric {metric!r}: {hint}expected one of {', '.join(sorted(known))}")
