"""`elmo-tagger calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from elmo_tagger.cli.options import AsJson, Encoding, Force, Format, Separator, TagColumn, TokenColumn
from elmo_tagger.cli.terminal import print_json, warn
from elmo_tagger.errors import ElmoTaggerError, shown

if TYPE_CHECKING:
    from elmo_tagger.tagger.calibration import Calibration, Judged

ARCHIVE = ".tar.gz"
_SHOWN_TAGS = 5


def calibrate(
    model: Annotated[str, typer.Argument(help="model.tar.gz, a model folder, a training run, or en.")],
    dev: Annotated[Path, typer.Argument(help="Annotated file that the model was not trained on.")],
    output: Annotated[
        Optional[Path],
        typer.Option("--output", "-o", help="A .tar.gz, or the folder to write (default: MODEL with -calibrated)."),
    ] = None,
    scheme: Annotated[Optional[str], typer.Option(help="Tag scheme of DEV (default: found).")] = None,
    file_format: Format = None,
    token_column: TokenColumn = None,
    tag_column: TagColumn = None,
    separator: Separator = None,
    encoding: Encoding = "utf-8",
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Make a tagger's confidences mean what they say, by a development set; it tags as before."""
    from elmo_tagger.text.formats.format import FileOptions
    from elmo_tagger.text.outputs import Output

    path = output or _default_output(model)
    as_archive = path.name.endswith(ARCHIVE)
    target = Output(path, inputs=[Path(model), dev], force=force, folder=not as_archive)
    options = FileOptions(
        format=file_format, token_column=token_column, tag_column=tag_column, separator=separator, encoding=encoding
    )

    from elmo_tagger.corpus.sources import open_tagged
    from elmo_tagger.tagger import load
    from elmo_tagger.tagger.folder import CARD_NAME, CONFIG_NAME, WEIGHTS_NAME
    from elmo_tagger.tagger.rewriting import check_archive, write_with_temperature

    if as_archive:
        check_archive(model)
    else:
        for name in (CONFIG_NAME, WEIGHTS_NAME, CARD_NAME):
            target.check(path / name)
    sentences = open_tagged(str(dev), options).sentences()
    tagger = load(model)
    found = tagger.calibrate(sentences, scheme=scheme)
    if as_archive:
        write_with_temperature(model, target, found.fit.temperature)
    else:
        tagger.save(path, force=force)
    _print(found, path, as_json=as_json)


def _default_output(model: str) -> Path:
    """The model's name with `-calibrated`: beside it, an archive of an archive and a folder of all else."""
    path = Path(model.removesuffix(ARCHIVE))
    suffix = ARCHIVE if model.endswith(ARCHIVE) else ""
    if not path.name:
        raise ElmoTaggerError(f"{model}: expected --output, as this has no name to which -calibrated could be added")
    return path.with_name(f"{path.name}-calibrated{suffix}")


def _print(found: Calibration, path: Path, *, as_json: bool) -> None:
    fit, errors = found.fit, [_expected_error(side) for side in (found.before, found.after)]
    if found.left_out:
        tags = ", ".join(shown(tag, quoted=False) for tag in found.unknown_tags[:_SHOWN_TAGS])
        more = ", ..." if len(found.unknown_tags) > _SHOWN_TAGS else ""
        why = f"tags that the model does not know ({tags}{more})" if tags else "tags that its scheme forbids"
        warn(f"left out: {found.left_out:,} sentences with {why}")
    if fit.at_bound:
        warn(f"the temperature is at the end of the range, {fit.temperature:.2f}: is the file too small or not unseen?")
    if as_json:
        written: dict[str, Any] = {
            **fit._asdict(),
            "left_out": found.left_out,
            "unknown_tags": list(found.unknown_tags),
            "predicted_entities": len(found.after),
            "expected_calibration_error": {"before": errors[0], "after": errors[1]},
            "output": str(path),
        }
        print_json(written)
        return
    typer.echo(f"temperature {fit.temperature:.4f}, found by {fit.sentences:,} sentences")
    typer.echo(f"negative log-likelihood of a sentence's true tags: {fit.before:.4f} -> {fit.after:.4f} nats")
    if errors[0] is not None:
        typer.echo(
            f"expected calibration error of {len(found.after):,} predicted entities: {errors[0]:.4f} -> {errors[1]:.4f}"
        )
    typer.echo(f"written: {path}")


def _expected_error(judged: Judged) -> float | None:
    from elmo_tagger.corpus.calibration import reliability

    return reliability(judged).expected_error if judged else None
