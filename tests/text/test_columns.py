"""Column files: what is read, what is refused, and that writing and reading are inverse."""

import gzip
import itertools
import lzma
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.text import DataError, Sentence, files, read_columns, write_columns
from elmo_tagger.text.column_rows import Rows

PLAIN = "Ann B-PER\nsings O\n\nIn O\nRome B-LOC\n"
NER = Path(__file__).parents[3] / "shared" / "data" / "ner"


def write(folder: Path, text: str | bytes, name: str = "train.iob") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path: Path, **options: object) -> list[tuple[list[str], list[str] | None]]:
    return [(sentence.tokens, sentence.tags) for sentence in read_columns(path, **options)]


CP1252 = (
    "; it looks like cp1252: convert it to utf-8 (iconv -f cp1252 -t utf-8), or name cp1252 where an encoding can be "
    "given"
)
READ = [(["Ann", "sings"], ["B-PER", "O"]), (["In", "Rome"], ["O", "B-LOC"])]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(" ", "\t"),
        PLAIN.replace(" ", " \t  "),
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.removesuffix("\n"),
        PLAIN.replace("\n", "\r\n").removesuffix("\n"),
        "\n\n" + PLAIN.replace("\n\n", "\n\n\n\n") + "\n\n\n",
        PLAIN.replace("\n\n", "\n \t \n\t\n"),
        PLAIN.replace("Ann", "-DOCSTART- -X- -X- O\n\nAnn"),
        PLAIN.replace("\n\n", "\n-DOCSTART-\n"),
    ],
    ids=[
        "plain",
        "tabs",
        "runs",
        "crlf",
        "bom",
        "no final newline",
        "cut crlf",
        "blanks",
        "white blanks",
        "doc",
        "doc alone",
    ],
)
def test_spellings_of_one_file(tmp_path: Path, text: str) -> None:
    assert read(write(tmp_path, text)) == READ


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_compressed(tmp_path: Path, suffix: str, pack) -> None:
    assert read(write(tmp_path, pack(PLAIN.encode()), "train.iob" + suffix)) == READ


def test_places_and_documents(tmp_path: Path) -> None:
    text = "-DOCSTART- O\n\n-DOCSTART- O\n\na O\nb O\n\n\nc O\n-DOCSTART- O\nd O\n"
    sentences = list(read_columns(write(tmp_path, text)))
    assert [(s.lines, s.document) for s in sentences] == [([5, 6], 0), ([9], 0), ([11], 1)]
    assert sentences[0].where(1) == f"{tmp_path / 'train.iob'}:6"


def test_choice_of_columns_comments_and_no_tags(tmp_path: Path) -> None:
    path = write(tmp_path, "# id 1\n1 Ann NNP B-PER\n2 #1 NNP O\n")
    with pytest.raises(DataError, match="4 columns, expected 3"):
        read(path)
    assert read(path, token_column=1, comment_prefix="# ") == [(["Ann", "#1"], ["B-PER", "O"])]
    assert read(path, token_column=-3, tag_column=2, comment_prefix="# ") == [(["Ann", "#1"], ["NNP", "NNP"])]
    assert read(path, token_column=1, tag_column=None, comment_prefix="# ") == [(["Ann", "#1"], None)]


def test_tokens_keep_every_other_character(tmp_path: Path) -> None:
    tokens = ["a\u00a0b", "\u2003", "x\u0085", "\u2028", "\x0b\x0c\x1c", "\x00", "\u200b", "é\r!", "Dubbz\ufeff", "😀"]
    path = write(tmp_path, "".join(f"{token}\tO\n" for token in tokens))
    assert read(path) == [(tokens, ["O"] * len(tokens))]


def test_exact_separator_keeps_spaces(tmp_path: Path) -> None:
    path = write(tmp_path, "-DOCSTART- -X-\n\nNew York\tB-LOC\n \t \n1 000\tO\n")
    assert read(path, separator="\t") == [(["New York"], ["B-LOC"]), (["1 000"], ["O"])]


def test_other_encoding(tmp_path: Path) -> None:
    assert read(write(tmp_path, "Jürgen I-PER\n".encode("latin-1")), encoding="latin-1") == [(["Jürgen"], ["I-PER"])]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "a b c O\n\nd e O\n",
            {},
            "{}:3: 3 columns, expected 4 as in line 1",
        ),
        (
            "a O\nb c O\n",
            {},
            "{}:2: 3 columns, expected 2 as in line 1",
        ),
        (
            "Emma\tB-first name\nflew\tO\n",
            {},
            "{}:2: 2 columns, expected 3 as in line 1 (if tokens or tags contain spaces, only tabs part the columns: "
            'give "separator": "\\t" in a config, --separator \'\\t\' to elmo-tagger)',
        ),
        ("a\tO\nb\tO\t\n", {"separator": "\t"}, "{}:2: 3 columns, expected 2 as in line 1"),
        ("a\tO\n\tO\n", {"separator": "\t"}, "{}:2: empty token (column 1 of 2)"),
        ("a\tO\nb\t\n", {"separator": "\t"}, "{}:2: empty tag (column 2 of 2)"),
        ("\na\n", {}, "{}:2: 1 column, expected one for tokens and another for tags (token column 0, tag column -1)"),
        ("a O\n", {"token_column": 2}, "{}:1: 2 columns, but the token column is 2 (counted from 0)"),
        ("a O\n", {"tag_column": -3}, "{}:1: 2 columns, but the tag column is -3 (counted from 0)"),
        ("", {}, "{}: the file is empty"),
        ("\n-DOCSTART- O\n\n", {}, "{}: no sentences in its 3 lines"),
        (
            b"a O\nb\xff O\n",
            {},
            "{}:2: invalid utf-8: byte 0xff at offset 5 of the file, byte 2 of the line" + CP1252,
        ),
        (
            b"\xef\xbb\xbf\xed\xa0\x80 O\n",
            {},
            "{}:1: invalid utf-8: byte 0xed at offset 3 of the file, byte 1 of the line" + CP1252,
        ),
        (
            "a O\n".encode("utf-16"),
            {},
            "{}:1: invalid utf-8: byte 0xff at offset 0 of the file, byte 1 of the line"
            "; it looks like utf-16: convert it to utf-8 (iconv -f utf-16 -t utf-8), or name utf-16 where an encoding "
            "can be given",
        ),
        (
            "a O\n",
            {"separator": ""},
            "separator '': expected at least one character, or None for runs of spaces and tabs",
        ),
        (
            "a O\n",
            {"encoding": "utf-16"},
            "{}: no text in utf-16 (UTF-16 stream does not start with BOM)",
        ),
    ],
)
def test_refused(tmp_path: Path, text: str | bytes, options: dict[str, object], message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError) as error:
        read(path, **options)
    assert str(error.value) == message.replace("{}", str(path))


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_cut_off_archive(tmp_path: Path, suffix: str, pack) -> None:
    path = write(tmp_path, pack(PLAIN.encode() * 50)[:-20], "train.iob" + suffix)
    with pytest.raises(OSError, match=r"train\.iob\.\wz: the compressed file is cut off or damaged"):
        read(path)


def test_report_collects_the_errors_and_reading_goes_on(tmp_path: Path) -> None:
    problems: list[DataError] = []
    path = write(tmp_path, b"a O\nb\nc\xff O\n\nd O O\n")
    assert read(path, report=problems.append) == [(["a", "c\ufffd"], ["O", "O"])]
    assert [problem.line for problem in problems] == [2, 3, 5]
    assert {problem.path for problem in problems} == {str(path)}


def test_reading_streams(tmp_path: Path) -> None:
    sentences = read_columns(write(tmp_path, "a O\n\nbad\n"))
    assert next(sentences).tokens == ["a"]
    with pytest.raises(DataError, match=":3: 1 column"):
        next(sentences)


CELL = st.text(st.characters(codec="utf-8", exclude_characters=" \t\n\r"), min_size=1, max_size=6).filter(
    lambda cell: cell != "-DOCSTART-"
)
ROWS = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=4)


@given(documents=st.lists(st.lists(ROWS, min_size=1, max_size=3), min_size=1, max_size=3), tab=st.booleans())
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, documents, tab: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "round.iob.gz"
    sentences = [
        Sentence([token + " ." * tab for token, _ in rows], [tag for _, tag in rows], document=number)
        for number, document in enumerate(documents)
        for rows in document
    ]
    write_columns(sentences, path, separator="\t" if tab else " ")
    again = list(read_columns(path, separator="\t" if tab else None))
    assert [(s.tokens, s.tags, s.document) for s in again] == [(s.tokens, s.tags, s.document) for s in sentences]


PLAIN_LINES = ["a O", "b\tB-X", "\u00a0 O"]
ODD_LINES = ["", " ", "a  O", " a O", "a O ", "a", "d O O", "e f", "-DOCSTART- O", "-DOCSTART-", "x-DOCSTART- O", "# O"]
OPTIONS = [{}, {"separator": " "}, {"comment_prefix": "#"}, {"document_marker": None}, {"tag_column": None}]


def test_a_paragraph_at_once_is_its_lines_one_by_one() -> None:
    for lines in itertools.product(PLAIN_LINES + ODD_LINES[:8], repeat=3):
        rows = Rows("in.iob", token_column=0, tag_column=-1, separator=None)
        together, single = rows.sentence(document=0), rows.sentence(document=0)
        for sentence in (together, single):
            rows.append(sentence, ["b", "O"], 1)
        assert rows.extend(together, "\n".join(lines), 2) == all(line in [*PLAIN_LINES, "e f"] for line in lines)
        if len(together.tokens) > 1:
            for number, line in enumerate(lines, start=2):
                rows.append(single, rows.split(line), number)
        assert together == single


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(st.sampled_from([*PLAIN_LINES, "", ""]) | st.sampled_from(ODD_LINES), max_size=20),
    feed=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 60),
    options=st.sampled_from(OPTIONS),
)
def test_paragraphs_are_read_as_their_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], feed: str, block: int, options: dict
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.iob"
    path.write_bytes(feed.join(["b O", *lines]).encode())

    def events() -> list[object]:
        found: list[object] = []
        for sentence in read_columns(path, report=lambda error: found.append(str(error)), **options):
            found.append(sentence)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK", block)
        got = events()
        patch.setattr(Rows, "extend", lambda *_: False)
        assert got == events()


def test_a_plain_paragraph_is_not_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "-DOCSTART- O\n\n" + "".join(f"a\tO\r\nb{n} O\r\n\r\n" for n in range(5)))
    looked_at = []
    split = Rows.split
    monkeypatch.setattr(Rows, "split", lambda rows, line: looked_at.append(line) or split(rows, line))
    assert [sentence.tokens for sentence in read_columns(path)] == [["a", f"b{n}"] for n in range(5)]
    # the marker, the paragraph that tells how many columns there are, and the last, which ends with an empty line
    assert looked_at == ["-DOCSTART- O", "a\tO", "b0 O", "a\tO", "b4 O", ""]


def test_written_text(tmp_path: Path) -> None:
    sentences = [Sentence(["a", "b"], ["O", "B-X"]), Sentence(["c"], ["O"], document=1)]
    write_columns(sentences, tmp_path / "a.iob")
    assert (tmp_path / "a.iob").read_text() == "a O\nb B-X\n\n-DOCSTART- O\n\nc O\n\n"
    write_columns(sentences, tmp_path / "a.iob", document_marker=None, separator="\t")
    assert (tmp_path / "a.iob").read_text() == "a\tO\nb\tB-X\n\nc\tO\n\n"


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        (Sentence([], []), "sentence 2: no tokens, expected at least one"),
        (Sentence(["a"]), "sentence 2: no tags, unlike the sentences before it"),
        (Sentence(["a"], ["O", "O"]), "sentence 2: 2 tags for 1 tokens"),
        (Sentence(["a b"], ["O"]), "sentence 2: token 'a b' contains a space: a column file cannot hold it"),
        (Sentence(["a\tb"], ["O"]), "sentence 2: token 'a\\tb' contains a tab: a column file cannot hold it"),
        (Sentence(["a\nb"], ["O"]), "sentence 2: token 'a\\nb' contains a line feed: a column file cannot hold it"),
        (Sentence([""], ["O"]), "sentence 2: token '' contains nothing: a column file cannot hold it"),
        (
            Sentence(["a"], ["O\r"]),
            "sentence 2: tag 'O\\r' contains a carriage return at the end of its line: a column file cannot hold it",
        ),
        (
            Sentence(["-DOCSTART-"], ["O"]),
            "sentence 2: token '-DOCSTART-' contains the document marker: a column file cannot hold it",
        ),
        (
            Sentence(["\ud800"], ["O"], "in.iob", [7]),
            "sentence 2 (in.iob:7): token '\\ud800' contains a lone surrogate, which UTF-8 cannot hold"
            ": a column file cannot hold it",
        ),
    ],
)
def test_unwritable_leaves_the_old_file(tmp_path: Path, sentence: Sentence, message: str) -> None:
    path = write(tmp_path, "old")
    with pytest.raises(DataError) as error:
        write_columns([Sentence(["a"], ["O"]), sentence], path)
    assert str(error.value) == message
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_separator_of_writing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^separator ',': expected ' ' or '\\t'$"):
        write_columns([], tmp_path / "a", separator=",")


@pytest.mark.skipif(not NER.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    ("name", "sentences", "entities", "documents"),
    [
        ("wnut17/train.conll", 3394, 1975, 1),
        ("wnut17/dev.conll", 1009, 836, 1),
        ("wnut17/test.conll", 1287, 1079, 1),
        ("wikigold/wikigold.conll.txt", 1696, None, 145),
        ("crossner/ai/train.txt", 100, 532, 1),
        ("crossner/politics/test.txt", 651, 4209, 1),
        ("crossner/music/dev.txt", 380, 2679, 1),
    ],
)
def test_real_corpora(name: str, sentences: int, entities: int | None, documents: int) -> None:
    found = list(read_columns(NER / name))
    assert len(found) == sentences
    assert found[-1].document + 1 == documents
    if entities is not None:
        assert sum(tag.startswith("B-") for sentence in found for tag in sentence.tags or []) == entities
