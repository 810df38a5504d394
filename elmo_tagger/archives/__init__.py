"""Trained models as files: a `model.tar.gz`, or the directory of a training run, opened as data.

`extraction` unpacks the tar, `weights` reads PyTorch's file of tensors, `archive` puts them together; `limits` watches
that no more is built from a config than the weights have. Nothing that an archive holds is executed, imported, or
opened as a path or URL, and damage anywhere in it is an error.
"""

from elmo_tagger.archives.archive import Archive, open_archive, weights_in
from elmo_tagger.archives.extraction import ArchiveError, extract
from elmo_tagger.archives.limits import bounded_by
from elmo_tagger.archives.weights import check_sums, read_weights

__all__ = [
    "Archive",
    "ArchiveError",
    "bounded_by",
    "check_sums",
    "extract",
    "open_archive",
    "read_weights",
    "weights_in",
]
