from pathlib import Path

import pytest
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import DatasetReader

from elmo_tagger.plugin.reader import ConllColumnsReader
from elmo_tagger.tagging.schemes import TagSchemeError
from elmo_tagger.text.files import DataError

BIO = "-DOCSTART- X O\n\nEmma NNP B-PER\nStone NNP I-PER\nsaw VBD O\nOslo NNP B-LOC\n\n-DOCSTART- X O\n\nYes UH O\n"
WANTED = {
    "BIO": ["B-PER", "I-PER", "O", "B-LOC"],
    "IOB1": ["I-PER", "I-PER", "O", "I-LOC"],
    "BIOUL": ["B-PER", "L-PER", "O", "U-LOC"],
    "BIOES": ["B-PER", "E-PER", "O", "S-LOC"],
    "IOE2": ["I-PER", "E-PER", "O", "E-LOC"],
    "BMES": ["B-PER", "E-PER", "O", "S-LOC"],
}


def reader(**options: object) -> ConllColumnsReader:
    built = DatasetReader.from_params(Params({"type": "conll_columns", **options}))
    assert isinstance(built, ConllColumnsReader)
    return built


def tags(instance) -> list[str]:
    return list(instance["tags"].labels)


@pytest.mark.parametrize("scheme", sorted(WANTED))
def test_reads_any_scheme_into_any_other(scheme: str, tmp_path: Path) -> None:
    source = tmp_path / "in.conll"
    rows = zip(["Emma", "Stone", "saw", "Oslo"], WANTED[scheme], strict=True)
    source.write_text("".join(f"{word}\t{tag}\r\n" for word, tag in rows))
    for target, expected in WANTED.items():
        (instance,) = reader(coding_scheme=target).read(str(source))
        assert tags(instance) == expected


def test_without_a_coding_scheme_tags_stay(tmp_path: Path) -> None:
    source = tmp_path / "in.conll"
    source.write_text(BIO)
    assert tags(next(iter(reader().read(str(source))))) == WANTED["BIO"]


def test_metadata_tells_words_document_and_line(tmp_path: Path) -> None:
    source = tmp_path / "in.conll"
    source.write_text(BIO)
    first, second = reader().read(str(source))
    assert first["metadata"].metadata == {
        "words": ["Emma", "Stone", "saw", "Oslo"],
        "document": 0,
        "path": str(source),
        "line": 3,
    }
    assert (second["metadata"]["document"], second["metadata"]["line"]) == (1, 10)


def test_columns_can_be_chosen_and_tags_left_out(tmp_path: Path) -> None:
    source = tmp_path / "in.conll"
    source.write_text("# a comment\nB-PER;Emma\n")
    (instance,) = reader(token_column=1, tag_column=0, separator=";", comment_prefix="#").read(str(source))
    assert (tags(instance), instance["metadata"]["words"]) == (["B-PER"], ["Emma"])
    source.write_text("Emma\nsaw\n")
    (untagged,) = reader(tag_column=None).read(str(source))
    assert "tags" not in untagged.fields


@pytest.mark.parametrize(
    ("content", "options", "error", "message"),
    [
        ("a B-X\nb I-X\nc\n", {}, DataError, r"in.conll:3: 1 column, expected 2"),
        ("a B-X\nb Q-X\n", {}, TagSchemeError, r"in.conll:2: 'Q-X'"),
        ("a O\nb I-X\nc I-Y\n", {"source_scheme": "BIO"}, TagSchemeError, r"in.conll:2: I-X after O: BIO expects"),
        ("", {}, DataError, r"in.conll.*empty"),
        ("a O\n", {"coding_scheme": "BIUOL"}, ValueError, r"unknown tag scheme 'BIUOL'.*did you mean.*BIOUL"),
        ("a O\n", {"tag_colum": 1}, ConfigurationError, "tag_colum"),
    ],
)
def test_errors_say_what_and_where(
    content: str, options: dict, error: type[Exception], message: str, tmp_path: Path
) -> None:
    source = tmp_path / "in.conll"
    source.write_text(content)
    with pytest.raises(error, match=message):
        list(reader(**options).read(str(source)))


def test_lenient_reading_takes_ill_formed_tags_as_conlleval_does(tmp_path: Path) -> None:
    source = tmp_path / "in.conll"
    source.write_text("a O\nb I-X\nc I-Y\n")
    (instance,) = reader(source_scheme="BIO", coding_scheme="BIO", strict=False).read(str(source))
    assert tags(instance) == ["O", "B-X", "B-Y"]


def test_processes_share_a_file_without_loss(tmp_path: Path) -> None:
    from allennlp.data.dataset_readers.dataset_reader import WorkerInfo

    source = tmp_path / "in.conll"
    source.write_text("".join(f"w{n} O\n\n" for n in range(7)))
    words = []
    for worker in range(3):
        shared = reader()
        shared._set_worker_info(WorkerInfo(3, worker))
        words += [instance["metadata"]["words"][0] for instance in shared.read(str(source))]
    assert sorted(words) == [f"w{n}" for n in range(7)]


def test_a_subclass_can_make_its_own_instances(training_file: str) -> None:
    class Upper(ConllColumnsReader):
        def text_to_instance(self, words, tags=None, metadata=None):
            return super().text_to_instance([word.upper() for word in words], tags, metadata)

    for upper, usual in zip(Upper().read(training_file), reader().read(training_file), strict=True):
        assert upper["metadata"]["words"] == [word.upper() for word in usual["metadata"]["words"]]
        assert upper["metadata"]["line"] == usual["metadata"]["line"]


def test_bad_lines_are_refused_or_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "in.conll"
    source.write_text(BIO + "No\n\nMaybe UH O\na b c d\n")
    with pytest.raises(DataError, match=r"in\.conll:11: 1 column, expected 3 as in line 3"):
        list(reader().read(str(source)))
    instances = list(reader(skip_bad_lines=True).read(str(source)))
    assert [instance["metadata"]["words"] for instance in instances][1:] == [["Yes"], ["Maybe"]]
    assert "in.conll: 2 bad lines are left out, the first is " in caplog.text


def test_other_encodings(tmp_path: Path) -> None:
    source = tmp_path / "in.conll"
    source.write_bytes("Zoë B-PER\n".encode("cp1252"))
    with pytest.raises(DataError, match="it looks like cp1252: convert it to utf-8"):
        list(reader().read(str(source)))
    (instance,) = reader(encoding="cp1252").read(str(source))
    assert instance["metadata"]["words"] == ["Zoë"]
