"""Archives."""

import tarfile


def extract_archives_safely() -> None:
    """Keeps archives from writing outside of the directory that they are extracted to.

    AllenNLP extracts whatever path an archive names. Python's own `data` filter refuses `..`, links that lead out and
    devices, and takes absolute paths as relative; it becomes the default in Python 3.14.
    """
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)  # type: ignore[assignment]
