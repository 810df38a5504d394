"""Training by AllenNLP's trainer, from Python: one config, one or several seeds."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Mapping

from allennlp.commands import train
from allennlp.common import Params

from elmo_tagger import startup
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.plugin import console
from elmo_tagger.plugin.compat.starting import run_folder
from elmo_tagger.plugin.plain_errors import message_of

ARCHIVE = "model.tar.gz"
SCORE = "f1-measure-overall"
"""What the best of several seeds is told by, on the development set."""
BEGINNING = {"out.log", "config.json", "meta.json", "vocabulary", "log"}
"""What a training has written before it has saved anything."""


class TrainingError(ElmoTaggerError):
    """A training that failed for its config or its data."""


@dataclass(frozen=True)
class SeedResult:
    """What the training with one seed came to.

    Attributes:
        seed: The seed.
        run: AllenNLP's folder of it.
        development: Metrics of its best epoch by name.
        test: Those of the test set; empty without one.
        table: Both as text.
    """

    seed: int
    run: Path
    development: Dict[str, float]
    test: Dict[str, float]
    table: str


def train_seeds(
    files: Mapping[str, str],
    config: str,
    folder: Path,
    *,
    seeds: int,
    recover: bool = False,
    force: bool = False,
    inputs: Iterable[Path] = (),
) -> List[SeedResult]:
    """Train once with each of the seeds 1, 2, ... in folders `seed_1`, `seed_2`, ... of a folder.

    Args:
        files: The config and what it imports: their text by their path in the folder, where they are written.
        config: Which of them is the config.
        folder: It also gets the archive of the best seed.
        seeds: How many.
        recover: Go on with an interrupted training; what is finished is not done again.
        force: Replace the training that the folder holds.
        inputs: What is read, none of which is replaced.

    Raises:
        TrainingError: The config or the data are at fault; names what.
        OSError: A file cannot be read or written.
    """
    if not startup.names_log_level():
        console.log_to_files()
    try:
        with run_folder(folder, recover=recover, force=force, inputs=inputs):
            _write(files, folder)
            results = [_train(folder / config, folder / f"seed_{seed}", seed) for seed in range(1, seeds + 1)]
    except OSError:
        raise
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        raise TrainingError(message) from error
    best = max(results, key=lambda result: result.development.get(SCORE, 0.0))
    _link(best.run / ARCHIVE, folder / ARCHIVE)
    return results


def _write(files: Mapping[str, str], folder: Path) -> None:
    """Writes the config; that of an interrupted training has to be the same."""
    for name, text in files.items():
        path = folder / name
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise TrainingError(
                f"{path}: expected the config of the same command, this one differs; a changed config is trained by: "
                f"allennlp train {path} -s ANOTHER_FOLDER"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _train(config: Path, run: Path, seed: int) -> SeedResult:
    if not _is_finished(run):
        overrides = dict.fromkeys(("random_seed", "numpy_seed", "pytorch_seed"), seed)
        names = {path.name for path in run.iterdir()} if run.is_dir() else set()
        if names and names <= BEGINNING:  # each of which may be half-written
            shutil.rmtree(run)
            names = set()
        parameters, in_lines = Params.from_file(config, overrides), console.nobody_watches()
        train.train_model(parameters, str(run), recover=bool(names), file_friendly_logging=in_lines)
    sides = console.scores_of_run(run)
    return SeedResult(seed, run, sides["development"], sides["test"], console.score_table(sides))


def _is_finished(run: Path) -> bool:
    """Whether a training came to its end: its archive is written last, but an interrupted one has left one too."""
    archive, metrics = run / ARCHIVE, run / console.METRICS
    if not (archive.is_file() and metrics.is_file()):
        return False
    return archive.stat().st_mtime_ns >= metrics.stat().st_mtime_ns


def _link(archive: Path, target: Path) -> None:
    """The archive under another name, without a second copy where the file system allows it."""
    target.unlink(missing_ok=True)
    try:
        os.link(archive, target)
    except OSError:
        shutil.copyfile(archive, target)
