"""`elmo-tagger train`."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from elmo_tagger.cli.options import Encoding, Separator, SkipBadLines, TagColumn, TokenColumn
from elmo_tagger.cli.terminal import Page, stop, warn
from elmo_tagger.errors import ElmoTaggerError, escaped

if TYPE_CHECKING:
    from elmo_tagger.plugin.training import SeedResult

_F1 = "f1-measure-overall"


def train(
    train_files: Annotated[list[Path], typer.Option("--train", help="The column file to train on.", metavar="FILE")],
    dev: Annotated[Path, typer.Option(help="The one that tells when to stop, and which seed is best.", metavar="FILE")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.")],
    test: Annotated[Optional[Path], typer.Option(help="Scored once, at the end.", metavar="FILE")] = None,
    weights: Annotated[
        str, typer.Option(help="The biLM: starter, that of the package, or a folder or .hdf5 file.", metavar="BILM")
    ] = "starter",
    vectors: Annotated[
        Optional[Path], typer.Option(help="Static word vectors as text, .gz too, beside the biLM's.", metavar="FILE")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Train so many times, from seed 1 on.")] = 1,
    epochs: Annotated[Optional[int], typer.Option(min=1, help="Epochs at most (default: the config's).")] = None,
    token_column: TokenColumn = None,
    tag_column: TagColumn = None,
    separator: Separator = None,
    encoding: Encoding = "utf-8",
    skip_bad_lines: SkipBadLines = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate/--no-calibrate", help="End with making confidences mean what they say, by DEV.")
    ] = True,
    recover: Annotated[bool, typer.Option("--recover", help="Go on with an interrupted training.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the training that the folder holds.")] = False,
) -> None:
    """Train a tagger on column files, and write the Jsonnet that it was trained with beside it."""
    if importlib.util.find_spec("allennlp") is None:
        raise ElmoTaggerError(
            "training needs AllenNLP: run `uv add 'elmo-tagger[allennlp]'` in a project whose pyproject.toml has the "
            "override-dependencies of elmo_tagger's (docs/howto/install.md)"
        )
    from elmo_tagger.cli.run_config import CONFIG, files_of_run, run_config

    if len(train_files) > 1:  # the last alone would be trained on
        raise ElmoTaggerError(
            f"--train: expected one file, received {', '.join(map(str, train_files))}: join them into one; where they "
            "do not annotate the same types, `elmo-tagger convert --unannotated` first"
        )
    (train_file,) = train_files
    files = [train_file, dev, *([test] if test else [])]
    options = {"token_column": token_column, "tag_column": tag_column, "separator": separator, "encoding": encoding}
    reader = _checked(files, train_file, options, skip_bad_lines=skip_bad_lines)
    variables = {"TRAIN": _path(train_file), "DEV": _path(dev), "TEST": _path(test) if test else ""}
    variables |= _bilm(weights)
    if vectors is not None:
        if not vectors.is_file():
            raise ElmoTaggerError(f"--vectors: {vectors}: no such file")
        variables["VECTORS"] = _path(vectors)
    changes: dict[str, Any] = {"dataset_reader": reader} if reader else {}
    changes |= {} if test else {"test_data_path": None, "evaluate_on_test": False}
    changes |= {} if calibrate else {"model": {"calibrate": False}}
    changes |= {} if epochs is None else {"trainer": {"num_epochs": epochs}}
    name = "elmo_only.jsonnet" if vectors is None else "elmo_and_vectors.jsonnet"
    title = f"Written by `elmo-tagger train`; after a change: allennlp train {CONFIG} -s another/folder"
    config = run_config(name, variables, changes, title=title)

    from elmo_tagger.plugin.training import train_seeds

    inputs = [*files, *([vectors] if vectors else []), Path(variables["ELMO_OPTIONS"]), Path(variables["ELMO_WEIGHTS"])]
    try:
        results = train_seeds(
            files_of_run(config), CONFIG, output, seeds=seeds, recover=recover, force=force, inputs=inputs
        )
    except KeyboardInterrupt:
        stop("; it goes on with the same command and --recover" if output.is_dir() else "")
    _print(results, output, Page())


def _checked(
    files: Sequence[Path], train_file: Path, options: dict[str, Any], *, skip_bad_lines: bool
) -> dict[str, Any]:
    """What the dataset reader must be told of the files; ends the program if training would fail on them."""
    from elmo_tagger.corpus.check import check_files
    from elmo_tagger.text.formats.format import FileOptions

    report = check_files(files, train=train_file, options=FileOptions(**options), skip_bad_lines=skip_bad_lines)
    found = [file.reader for file in report.files]
    told = dict(found[0])
    if told and all(each == told for each in found):  # then the reader can be told what `check` found out
        report = check_files(
            files, train=train_file, options=FileOptions(**{**options, **told}), skip_bad_lines=skip_bad_lines
        )
    for failure in report.failures:
        typer.echo(f"error: training would fail: {escaped(failure)}", err=True)
    if report.failures:
        raise typer.Exit(2)
    for message in report.warnings:
        if "blank lines" in message:  # what the others ask for is done
            warn(message)
    return told | ({"skip_bad_lines": True} if skip_bad_lines else {})


def _bilm(weights: str) -> dict[str, str]:
    """The variables that name the biLM's files."""
    from elmo_tagger.bilm.loading.source import files_of_source

    options_file, weight_file = files_of_source(weights)
    return {"ELMO_OPTIONS": options_file, "ELMO_WEIGHTS": weight_file}


def _path(file: Path) -> str:
    return str(file.absolute())


def _print(results: Sequence[SeedResult], output: Path, page: Page) -> None:
    """The scores of one training, or those of all with their mean and standard deviation; and the best archive."""
    best = max(results, key=lambda result: result.development.get(_F1, 0.0))
    if len(results) == 1:
        page.line(best.table.rstrip("\n"))
    else:
        _print_seeds(results, page)
    page.line(f"{'best ' * (len(results) > 1)}archive (seed {best.seed}): {output / 'model.tar.gz'}")
    page.line(f"config: {output / 'train.jsonnet'}")


def _print_seeds(results: Sequence[SeedResult], page: Page) -> None:
    from statistics import mean, stdev

    scores = {"development F1": [result.development[_F1] for result in results]}
    if all(_F1 in result.test for result in results):
        scores["test F1"] = [result.test[_F1] for result in results]
    rows = [
        [str(result.seed), *(_percent(values[index]) for values in scores.values())]
        for index, result in enumerate(results)
    ]
    rows += [
        [name, *(_percent(function(values)) for values in scores.values())]
        for name, function in (("mean", mean), ("standard deviation", stdev))
    ]
    page.table(["seed", *scores], rows)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"
