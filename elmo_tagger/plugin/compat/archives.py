"""Archives: what is in one stays in the directory that it is extracted to."""

import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional, Union

from allennlp.models import archival

from elmo_tagger.text.files import DataError


@contextmanager
def extracted_archive(resolved_archive_file: Union[str, Path], cleanup: bool = True) -> Iterator[str]:
    """Extracts an archive into a temporary directory, of which it gives the path.

    Args:
        resolved_archive_file: `model.tar.gz`.
        cleanup: Whether to remove the directory at the end.

    Raises:
        DataError: The archive is cut off or no archive, or something in it is neither file nor directory, or would
            be written outside of the directory.
    """
    directory: Optional[str] = None
    try:
        directory = tempfile.mkdtemp()
        try:
            with tarfile.open(resolved_archive_file, "r:gz") as archive:
                for member in archive:
                    _extract(archive, member, Path(directory), str(resolved_archive_file))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise DataError(f"{resolved_archive_file}: expected a complete archive (model.tar.gz): {error}") from error
        yield directory
    finally:
        if directory is not None and cleanup:
            shutil.rmtree(directory, ignore_errors=True)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path, name: str) -> None:
    """One file; links and devices have no business in an archive of a model."""
    target = (directory / member.name).resolve()
    if directory.resolve() not in (target, *target.parents) or not (member.isfile() or member.isdir()):
        raise DataError(f"{name}: {member.name!r} is no file or directory within the archive; nothing was loaded")
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    assert content is not None  # it is a file
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)


def extract_archives_safely() -> None:
    """Has AllenNLP extract archives in this way; it would write to whatever path an archive names."""
    archival.extracted_archive = extracted_archive
