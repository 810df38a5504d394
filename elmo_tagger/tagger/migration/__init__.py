"""Archives of AllenNLP, of any age, as the parts of a tagger, with a report of every change.

`archive` reads one: `age` finds out which AllenNLP made it, as far as that changes what it computes; `config` rewrites
its config, `weights` renames its tensors; `migrate` makes the model.
"""

from elmo_tagger.tagger.migration.archive import ReadArchive, read_archive
from elmo_tagger.tagger.migration.migrate import Migration, migrate

__all__ = ["Migration", "ReadArchive", "migrate", "read_archive"]
