"""How a training begins: what it needs is looked at first, and one that comes to nothing leaves nothing."""

import functools
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Tuple, Union

from allennlp.commands import train
from allennlp.common.checks import ConfigurationError
from allennlp.common.params import Params
from allennlp.models.model import Model
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_tagger.bilm.loading.bundled import BUNDLED

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
        if not recover:  # which takes the biLM from its checkpoint
            check_files(params.as_dict(quiet=True))
        with run_folder(serialization_dir, recover=recover, force=force):
            return begin(params, serialization_dir, recover, force, *args, **kwargs)

    train.train_model = train_model


def check_files(config: Dict[str, Any]) -> None:
    """Looks for the files that a config names.

    Data of other readers than ours is left to them, as a path may mean anything to a reader.

    Raises:
        ConfigurationError: One is missing; names its key.
    """
    reader = config.get("dataset_reader")
    ours = isinstance(reader, dict) and reader.get("type") == "conll_columns"
    for place, key, value in _entries(config):
        wanted = key in FILES or (ours and place in DATA_PATHS)
        if not wanted or not isinstance(value, str) or value in BUNDLED or set(value) & set("*?[]!#") or "://" in value:
            continue
        path = Path(value).expanduser()
        if not path.is_file():
            problem = "is a directory, expected a file" if path.is_dir() else "no such file"
            raise ConfigurationError(f"{place}: {value}: {problem}")


def _entries(config: Any, place: str = "") -> Iterator[Tuple[str, str, Any]]:
    """Place, key and value of everything in a config that stands under a key."""
    children = config.items() if isinstance(config, dict) else enumerate(config) if isinstance(config, list) else ()
    for key, value in children:
        where = f"{place}.{key}" if place else str(key)
        yield where, str(key), value
        yield from _entries(value, where)


@contextmanager
def run_folder(folder: Union[str, Path], *, recover: bool, force: bool) -> Iterator[None]:
    """Within, a training writes to its folder; if it fails without results, all is as it was before.

    Args:
        folder: Of the training.
        recover: It goes on with what the folder holds.
        force: It replaces what the folder holds, which is kept until the training ends.

    Raises:
        ConfigurationError: The folder holds something that the training may neither continue nor replace.
    """
    folder = Path(folder)
    existed, filled = folder.exists(), folder.is_dir() and any(folder.iterdir())
    if filled and not (recover or force):
        raise ConfigurationError(
            f"{folder} holds a run already: --recover goes on with it, --force replaces it; or give another folder (-s)"
        )
    replaced: Optional[Path] = None
    if filled and force and not recover:
        replaced = Path(tempfile.mkdtemp(prefix=f"{folder.name}.replaced-", dir=folder.parent))
        folder.rename(replaced)
    try:
        yield
    except BaseException:
        if not (filled and recover) and not any(any(folder.rglob(name)) for name in RESULTS):
            shutil.rmtree(folder, ignore_errors=True)
            if replaced is not None:
                replaced.rename(folder)
            elif existed:
                folder.mkdir()
        raise
    finally:
        if replaced is not None and replaced.exists():
            shutil.rmtree(replaced)


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
