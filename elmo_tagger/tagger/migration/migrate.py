"""From an archive of any AllenNLP to a tagger."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from elmo_tagger.archives import open_archive
from elmo_tagger.bilm.options import Options
from elmo_tagger.tagger.assembly import LoadError, build
from elmo_tagger.tagger.folder import is_folder
from elmo_tagger.tagger.migration.archive import read_archive
from elmo_tagger.tagger.tagger import Tagger


@dataclass(frozen=True)
class Migration:
    """A tagger from an archive, and how it came about.

    Attributes:
        tagger: It; its card tells the changes too.
        made_by: The AllenNLP that made the archive, with what says so.
        changes: What is not as it was in the archive, one line each.
    """

    tagger: Tagger
    made_by: str
    changes: tuple[str, ...]


def migrate(source: str | Path, *, options_file: str | Path | None = None, allennlp: str | None = None) -> Migration:
    """Read an archive of AllenNLP, 0.x to 2.x, with a `crf_tagger`, a `simple_tagger` or this package's model.

        migrate("ner-model-2018.12.18.tar.gz").tagger.save("ner-model")

    Args:
        source: `model.tar.gz`, or the directory of a training run.
        options_file: The `options.json` of its biLM, where it is not in the archive; the published biLMs' are known.
        allennlp: The version of AllenNLP that made it, such as "0.9", where the archive does not say it.

    Raises:
        OptionsError: The options file is none.
        ConfigError: It is no tagger, a part of it is not the engine's, or nothing tells how old it is.
        LoadError: Weights and config do not fit together, or it is a model folder already.
        TagSchemeError: Its tags are not of the scheme that its config says.
        ArchiveError: It is damaged, or no archive.
        OSError: A file cannot be read.
    """
    if is_folder(Path(source)):
        raise LoadError(f"{source}: is a model folder already: expected an archive of AllenNLP (model.tar.gz)")
    options = None if options_file is None else Options.from_file(options_file)
    with open_archive(source) as archive:
        read = read_archive(archive, options=options, allennlp=allennlp)
    notes = (f"Migrated from {Path(source).name}, made by {read.made_by}.", *read.changes)
    parts = replace(read.parts, card=replace(read.parts.card, notes=notes))
    return Migration(build(parts, name=str(Path(source))), read.made_by, read.changes)
