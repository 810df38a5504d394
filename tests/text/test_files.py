"""Lines decoded many at a time are those decoded one by one."""

import re
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.text import files
from elmo_tagger.text.files import BOM, DataError, decode_lines, read_lines, read_text_blocks, read_text_lines
from elmo_tagger.text.outputs import new_file

PIECES = [b"a", b" ", b"\n", b"\n", b"\r", b"\r\n", "é".encode(), b"\xe9", b"\xff", BOM, "\u2028\x85".encode(), b"~{"]
ENCODINGS = ["utf-8", "UTF8", "latin-1", "ascii", "cp1252", "utf-7", "hz", "iso2022_jp", "shift_jis"]


@settings(max_examples=100, deadline=None)
@given(
    content=st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join),
    block=st.integers(1, 12),
    encoding=st.sampled_from(ENCODINGS),
    goes_on=st.booleans(),
)
def test_equal_to_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, block: int, encoding: str, goes_on: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    path.write_bytes(content)

    def events(read) -> list[object]:
        """Lines and errors in the order in which they come."""
        found: list[object] = []

        def note(error: DataError) -> None:
            found.append((str(error), error.line, error.reading))

        try:
            for each in read(note if goes_on else None):
                found.append(each)
        except DataError as error:
            note(error)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK", block)
        got = events(lambda report: read_text_lines(path, encoding=encoding, report=report))
    one_by_one = events(lambda report: decode_lines(read_lines(path), name=str(path), encoding=encoding, report=report))
    assert got == one_by_one


def test_a_block_is_many_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(BOM + b"a\r\nb\n\nc\r")
    assert list(read_text_blocks(path)) == [(1, "a\nb\n"), (4, "c")]
    path.write_bytes(b"a\nb\xff\nc\n")
    assert list(read_text_blocks(path, report=lambda error: None)) == [(1, "a"), (2, "b\ufffd"), (3, "c")]


@pytest.mark.parametrize("size", [files.BLOCK - 1, files.BLOCK, 5 * files.BLOCK])
def test_a_line_may_be_longer_than_a_block(tmp_path: Path, size: int) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("x" * size + "\ny\n")
    assert list(read_text_lines(path)) == [(1, "x" * size), (2, "y")]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00", "a zip archive, as .docx, .xlsx and .odt files are"),
        (b"%PDF-1.7\nplain\n", "a PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
        (b"{\\rtf1 plain}\n", "a document in RTF"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
def test_documents_are_named_whatever_their_encoding(
    tmp_path: Path, content: bytes, kind: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    message = f"^{{}}: {re.escape(kind)}.*: expected plain text: save it as text"
    for name in ("paper.txt", "paper.txt.gz", "paper.txt.xz"):
        with new_file(name) as file:
            file.write(content)
        for read in (read_lines, partial(read_text_lines, encoding=encoding, report=lambda error: None)):
            with pytest.raises(DataError, match=message.format(name)):
                list(read(name))
    with pytest.raises(DataError, match=message.format("stdin")):
        list(decode_lines([content], name="stdin"))


def test_bytes_with_nul_among_them_are_hardly_text_but_a_nul_in_a_text_is(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"a\0b\n")
    assert list(read_text_lines(path)) == [(1, "a\0b")]
    path.write_bytes(b"a\0\xff\n")
    with pytest.raises(DataError, match="with NUL bytes in it this is hardly plain text"):
        list(read_text_lines(path))
