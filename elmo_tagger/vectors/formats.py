"""From the name of an output to its format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from elmo_tagger.vectors.compute import SentenceVectors
from elmo_tagger.vectors.hdf5_output import MAX_INDEX_BYTES, Hdf5Output, recorded_state
from elmo_tagger.vectors.json_output import JsonLinesOutput, StandardOutput
from elmo_tagger.vectors.npy_output import NpyOutput
from elmo_tagger.vectors.output import VectorOutput, check_free
from elmo_tagger.vectors.partial_file import OutputError, PartialFile, partial_names

STANDARD_OUTPUT = "-"
HDF5_SUFFIXES = (".hdf5", ".h5")
SUFFIXES = (*HDF5_SUFFIXES, ".npy", ".jsonl")


def check_output(path: str, *, pooled: bool, resume: bool, overwrite: bool) -> bool:
    """Whether there is anything to do; before a large model is loaded.

    Args:
        path: `-` or a name that ends in one of `SUFFIXES`.
        pooled: Whether sentences have one vector each.
        resume: Continue where an interrupted run stopped.
        overwrite: Replace what is there.

    Returns:
        False if the output to resume is complete; see `complete_state`.

    Raises:
        OutputError: A file stands in the way, its directory is missing, or the format is not known or does not fit.
    """
    if path == STANDARD_OUTPUT:
        if resume:
            raise OutputError("standard output cannot be continued: expected an output file with --resume")
        return True
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(f"{path}: expected a name that ends in one of {', '.join(SUFFIXES)}")
    if suffix == ".npy" and not pooled:
        raise OutputError(f"{path}: sentences differ in length: one .npy array needs --pool; expected that, or .hdf5")
    if not file.parent.is_dir():
        raise OutputError(f"{path}: the directory {file.parent} does not exist")
    check_free(file, resume=resume, overwrite=overwrite)
    return not (resume and file.exists() and not partial_names(file)[0].exists())


def complete_state(path: str) -> dict[str, Any]:
    """What a complete output was made of, as `record.state_of`.

    Of the formats only HDF5 has a place for it that nobody stumbles over: .npy is a header and numbers, and of .jsonl
    each line is a sentence.

    Raises:
        OutputError: It keeps no record.
    """
    file = Path(path)
    state = recorded_state(file) if file.suffix.lower() in HDF5_SUFFIXES else {}
    if not state:
        raise OutputError(
            f"{path}: complete, but without a record of the settings and the input it was made of, so --resume cannot "
            "tell whether they are these: keep it as it is, or make it anew with --overwrite"
        )
    return state


def open_output(
    path: str, vectors: SentenceVectors, *, resume: bool = False, max_index_bytes: int = MAX_INDEX_BYTES
) -> VectorOutput:
    """The output of a name that `check_output` has passed, in the format that its ending says.

    Args:
        path: `-` or a file.
        vectors: What will compute the arrays.
        resume: Continue where an interrupted run stopped; otherwise begin anew.
        max_index_bytes: See `Hdf5Output`.

    Raises:
        OutputError: The file to resume is damaged, or another process is writing it.
        OSError: The file cannot be opened.
    """
    if path == STANDARD_OUTPUT:
        return StandardOutput()
    file = PartialFile(path, resume=resume)
    suffix = file.path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return Hdf5Output(file, max_index_bytes=max_index_bytes)
    if suffix == ".npy":
        return NpyOutput(file, row_shape=vectors.shape(0), dtype=vectors.request.dtype)
    return JsonLinesOutput(file)
