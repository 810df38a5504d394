from __future__ import annotations

import json
from pathlib import Path

import pytest

from elmo_tagger.corpus.check import check_files
from elmo_tagger.corpus.check_report import CheckReport
from elmo_tagger.tagging.detection import detect_scheme
from elmo_tagger.text.columns import read_columns
from elmo_tagger.text.formats import FileOptions

GOOD = "EU B-ORG\nrejects O\nGerman B-MISC\ncall O\n\nPeter B-PER\nBlackburn I-PER\n\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def write_file(name: str, text: str | bytes) -> str:
        Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
        return name

    return write_file


def messages(report: CheckReport) -> list[str]:
    return [message for file in report.files for message in file.messages]


def test_counts(write) -> None:
    report = check_files([write("train.conll", GOOD)])
    (file,) = report.files
    assert (file.sentences, file.tokens, file.scheme, file.broken["BIO"], file.errors) == (2, 6, "BIO", 0, 0)
    assert file.entities == {"ORG": 1, "MISC": 1, "PER": 1}
    assert file.sentence_lengths == {2: 1, 4: 1}
    assert file.entity_lengths == {1: 2, 2: 1}
    assert file.columns == ["tokens", "tags"]
    assert report.failures == []


def test_every_ill_formed_line_is_named_and_said_how_it_would_be_read(write) -> None:
    good = GOOD * 5
    path = write("train.conll", good + "a O\nb I-PER\n\nc\nd B-PER\n\nI-LOC I-LOC\n\nx Q-LOC\n")
    start = good.count("\n")
    report = check_files([path], scheme="BIO")
    assert messages(report) == [
        f"train.conll:{start + 4}: 1 column, expected 2 as in line 1; the line is left out here",
        f"train.conll:{start + 2}: I-PER after O: BIO expects B-PER or I-PER before it; "
        "leniently read as the first token of an entity",
        f"train.conll:{start + 7}: I-LOC at the start of the sentence: BIO expects B-LOC or I-LOC before it; "
        "leniently read as the first token of an entity",
        f"train.conll:{start + 9}: 'Q-LOC' is no BIO tag: expected O, or one of B, I with a type as in B-PER; "
        "leniently read as a token of an entity of type 'LOC'",
    ]
    assert report.failures == [
        "train.conll: 4 ill-formed lines; of elmo-tagger convert, --skip-bad-lines leaves out what cannot be read and "
        "--lenient reads tags as conlleval does"
    ]


def test_problems_after_a_dropped_line_have_the_right_line(write) -> None:
    report = check_files([write("a.conll", GOOD + "a O\nbroken\nb O\nc I-PER\n\n" + GOOD)])
    assert messages(report)[-1].startswith("a.conll:12: I-PER after O")


def test_a_problem_at_the_last_token_belongs_to_its_own_sentence(write) -> None:
    report = check_files([write("a.conll", "a B-X\nb L-X\nc U-X\n\nd O\ne B-X\n\nf O\ng B-X\nh I-X\ni L-X\n")])
    assert [message.split(":")[1] for message in messages(report)] == ["6"]


def test_bytes_that_are_no_text_are_reported_and_reading_goes_on(write) -> None:
    report = check_files([write("a.conll", GOOD.encode() + b"caf\xe9 O\n")])
    assert messages(report)[0].startswith("a.conll:9: invalid utf-8: byte 0xe9")
    assert messages(report)[0].endswith("; its bad bytes are read as U+FFFD here")
    assert report.files[0].tokens == 7


def test_mixed_schemes(write) -> None:
    train = write("train.conll", GOOD)
    dev = write("dev.conll", "EU U-ORG\nPeter B-PER\nBlackburn L-PER\n")
    report = check_files([dev, train])
    assert report.train == "train.conll"
    assert report.failures == [], "the reader finds the scheme of each file on its own"
    assert report.warnings == [
        'the files mix tag schemes: dev.conll BIOUL, train.conll BIO; the dataset_reader needs a "coding_scheme", '
        'such as "BIOUL", to which it converts each of them'
    ]
    same = check_files([train, write("test.conll", "EU O\nPeter B-PER\n")])
    assert (same.failures, same.warnings) == ([], []), "tags that fit several schemes are no mixture"


@pytest.mark.parametrize(
    ("text", "needed", "fails"),
    [
        ("EU NNP B-ORG\nis VBZ O\n", {}, False),
        ("EU B-ORG NNP\nis O VBZ\n", {"tag_column": 1}, True),
        ("B-ORG EU\nO is\n", {"token_column": 1, "tag_column": 0}, True),
        ("1 EU O\n2 is B-X\n", {"token_column": 1}, False),
        ("1 EU O NNP\n2 is B-X VBZ\n", {"token_column": 1, "tag_column": 2}, True),
        ("EU\tB-work of art\nis\tO\n", {"separator": "\t"}, True),
    ],
)
def test_the_verdict_is_what_training_would_do(write, text: str, needed: dict[str, int | str], fails: bool) -> None:
    """With the reader's defaults, and with what the verdict says that it needs."""
    path = write("train.conll", text)
    report = check_files([path])
    assert report.files[0].reader == needed
    if fails:
        with pytest.raises(ValueError) as error:  # noqa: PT011 - the verdict quotes its text
            detect_scheme(read_columns(path))
        (failure,) = report.failures
        assert failure.endswith(f"without them: {error.value}")
    else:
        assert detect_scheme(read_columns(path))
        assert report.failures == []
    assert [(s.tokens, len(detect_scheme([s]))) for s in read_columns(path, **needed)] == [(["EU", "is"], 3)]
    words = ", ".join(f'"{name}": {json.dumps(value)}' for name, value in needed.items())
    assert not needed or words in str(report.failures + report.warnings).replace("\\\\", "\\")
    told = check_files([path], options=FileOptions(**needed))
    assert told.failures == []


def test_a_file_without_blank_lines_is_pointed_out(write) -> None:
    report = check_files([write("train.conll", "a O\nb B-X\n" * 900)])
    assert report.warnings == [
        "train.conll: its only sentence has 1,800 tokens: are blank lines between sentences missing?"
    ]


def test_an_encoding_is_guessed_named_and_taken(write) -> None:
    path = write("train.conll", "Müller B-PER\nkam O\n".encode("cp1252") * 3)
    (failure,) = check_files([path]).failures
    assert failure.startswith("train.conll: 3 ill-formed lines")
    assert "it looks like cp1252" in check_files([path]).files[0].messages[0]
    report = check_files([path], options=FileOptions(encoding="cp1252"))
    assert (report.failures, report.warnings) == (
        [],
        ['train.conll: not in the reader\'s default columns; its dataset_reader needs "encoding": "cp1252"'],
    )


def test_bad_lines_that_the_reader_skips_are_no_failure(write) -> None:
    path = write("train.conll", GOOD + "a\n" + GOOD + "b c d\n")
    assert check_files([path]).failures == [
        "train.conll: 2 ill-formed lines; of elmo-tagger convert, --skip-bad-lines leaves out what cannot be read"
    ]
    report = check_files([path], skip_bad_lines=True)
    assert (report.failures, report.warnings) == (
        [],
        ['train.conll: 2 lines left out; the dataset_reader needs "skip_bad_lines": true'],
    )


def test_foreign_values_are_shown_escaped_and_cut(write) -> None:
    rows = GOOD * 20 + f"a {'x' * 1000}\nb \x1b]0;title\x07\n{'y' * 1000} O\n"
    report = check_files([write("train.conll", rows)])
    said = [*messages(report), *report.files[0].long_token_places]
    assert len(said) == 3
    assert all(len(message) < 400 and "\x1b" not in message for message in said)


def test_the_reader_reads_column_files_alone(write) -> None:
    report = check_files([write("a.jsonl", '{"text": "Ann sings", "entities": [[0, 3, "PER"]]}\n')])
    assert report.failures == [
        "a.jsonl: conll_columns reads column files alone, not jsonl; convert it first: "
        "elmo-tagger convert a.jsonl a.conll"
    ]


def test_every_ill_formed_line_of_every_format_is_named(write) -> None:
    good = '{"text": "Ann sings", "entities": [[0, 3, "PER"]]}\n'
    cut = '{"text": "Ann sings", "entities": [[0, 2, "PER"]]}\n'
    report = check_files([write("a.jsonl", good + "{\n" + good + "[]\n" + cut + good)])
    assert [message.split(" ")[0] for message in messages(report)] == ["a.jsonl:2:", "a.jsonl:4:", "a.jsonl:5:"]
    assert messages(report)[2].endswith(
        "cuts the token 'Ann' (0 to 3): tags cannot express it; --split-tokens of convert fits tokens and "
        "sentences to entities; the document is left out here"
    )
    assert report.files[0].sentences == 3
    row = "1\ta" + "\t_" * 8 + "\n"
    report = check_files([write("a.conllu", row + "x\n\n" + "y\n" + row + "\n")])
    assert [message.split(" ")[0] for message in messages(report)] == ["a.conllu:2:", "a.conllu:4:"]
    assert report.files[0].sentences == 2
    Path("brat").mkdir()
    write("brat/a.txt", "Ann sings")
    write("brat/a.ann", "T1 PER\nT2\tPER 0 3\tAnn\nT3\tPER 0 99\tAnn\n")
    report = check_files(["brat"])
    assert [message.split(" ")[0] for message in messages(report)] == ["brat/a.ann:1:", "brat/a.ann:3:"]
    assert report.files[0].entities == {"PER": 1}


def test_a_mixture_within_a_file_shows_in_the_counts_by_scheme(write) -> None:
    report = check_files([write("a.conll", GOOD * 3 + "a I-PER\nb I-PER\n")])
    (file,) = report.files
    assert (file.scheme, file.broken["BIO"], file.broken["IOB1"]) == ("BIO", 1, 6)


def test_types_that_train_lacks(write) -> None:
    report = check_files([write("train.conll", GOOD), write("test.conll", "x B-DATE\ny B-ORG\n")])
    assert report.missing_types == {"test.conll": ["DATE"]}
    assert report.failures == []


def test_tags_that_train_lacks_of_types_that_it_has(write) -> None:
    dev = write("dev.conll", "x B-ORG\ny I-ORG\nz B-DATE\n")
    report = check_files([write("train.conll", GOOD), dev, write("bioul.conll", "x U-ORG\n")])
    assert report.missing_tags == {"dev.conll": ["I-ORG"]}, (
        "of another type, or in another scheme, it is said elsewhere"
    )


def test_duplicates_within_and_across_files(write) -> None:
    long = "".join(f"w{i} O\n" for i in range(6)) + "\n"
    train = write("train.conll", GOOD + long + GOOD)
    dev = write("dev.conll", "new O\n\n" + long)
    report = check_files([train, dev])
    found = {(pair.first, pair.second): (pair.sentences, pair.long_sentences) for pair in report.duplicates}
    assert found == {("train.conll", "train.conll"): (2, 0), ("train.conll", "dev.conll"): (1, 1)}
    across = next(pair for pair in report.duplicates if pair.second == "dev.conll")
    assert across.examples == [(9, 3, "w0 w1 w2 w3 w4 w5")]
    turned = check_files([dev, train])
    assert turned.train == "train.conll"
    counts = {(pair.first, pair.second): pair.sentences for pair in turned.duplicates}
    assert counts == {("train.conll", "train.conll"): 2, ("train.conll", "dev.conll"): 1}


@pytest.mark.parametrize(
    ("names", "train"),
    [
        (["dev_constrained.conll", "b.train"], "b.train"),
        (["dev_constrained.conll", "b.conll"], "dev_constrained.conll"),
        (["a", "WNUT17train.conll"], "WNUT17train.conll"),
        (["test", "training.txt"], "training.txt"),
    ],
)
def test_the_training_file_by_its_name(write, names: list[str], train: str) -> None:
    assert check_files([write(name, GOOD) for name in names]).train == train


def test_word_order_and_case_make_sentences_different(write) -> None:
    report = check_files([write("a.conll", "a O\nb O\n\nb O\na O\n\nA O\nb O\n\na O\nb O\nb O\n\na O\n")])
    assert report.duplicates == []


def test_inconsistent_annotations_most_disputed_first(write) -> None:
    report = check_files(
        [
            write(
                "train.conll",
                "New B-LOC\nYork I-LOC\n\nNew B-ORG\nYork I-ORG\n\nNew O\nYork O\n\n"
                "Paris B-LOC\n\nParis B-LOC\n\nParis B-PER\n\n"
                "York B-LOC\n\nin O\nNew B-LOC\nYork I-LOC\n\nOslo B-LOC\n",
            )
        ]
    )
    found = [(item.phrase, item.readings) for item in report.inconsistencies]
    assert found == [
        (("New", "York"), {"LOC": 2, "ORG": 1, "O": 1}),
        (("Paris",), {"LOC": 2, "PER": 1}),
        (("York",), {"LOC": 1, "O": 1}),
    ]
    assert report.inconsistencies[0].places == {
        "LOC": "train.conll:1",
        "ORG": "train.conll:4",
        "O": "train.conll:7",
    }


def test_tokens_that_the_character_cnn_cuts(write) -> None:
    # 48 bytes fit; the umlaut has two
    report = check_files([write("a.conll", f"{'x' * 48} O\n{'x' * 49} O\n{'ü' * 25} O\n")])
    assert report.files[0].long_tokens == 2
    assert report.files[0].long_token_places[0] == f"a.conll:2: {'x' * 49} (49 bytes)"


def test_empty_sentences_are_blank_lines_in_a_row(write) -> None:
    assert check_files([write("a.conll", "a O\n\n\n\nb O\n\nc O\n\n")]).files[0].empty_sentences == 2
    marked = "-DOCSTART- O\n\na O\n\n-DOCSTART- O\n\nb O\n"
    assert check_files([write("b.conll", marked)]).files[0].empty_sentences == 0


def test_files_on_which_training_would_fail(write) -> None:
    empty, blank, untagged = write("empty", ""), write("blank", "\n\n"), write("untagged", "a\nb\n")
    outside = write("outside", "a O\nb O\n")
    assert check_files([empty]).failures == ["empty: the file is empty"]
    assert check_files([blank]).failures == ["blank: no sentences in its 2 lines"]
    expected = "expected a token and its tag a line, such as 'London B-LOC' or 'is O'"
    assert check_files([untagged]).failures == [
        f"untagged: no tags: its last column begins with 'a' (untagged:1); {expected}"
    ]
    prose = write("prose", "Ada met Bob in Rome.\nShe went home.\n\nNobody knew.\n")
    assert check_files([prose]).failures == [
        f"prose: no tags: its last column begins with 'Rome.' (prose:1); {expected}"
    ]
    assert check_files([outside], options=FileOptions(token_column=2)).failures == [
        "outside: no sentences in its 2 lines",
        "outside: 2 ill-formed lines, the first: outside:1: 2 columns, but the token column is 2 (counted from 0); "
        "the line is left out here",
    ]
    assert check_files([outside]).failures == ["outside: every tag is O, nothing to learn"]


def test_a_table_of_values_is_to_be_converted(write) -> None:
    path = write("train.csv", "token,tag\n,\nAnn,B-PER\nsings,O\n")
    assert check_files([path]).failures == [
        "train.csv: conll_columns reads column files alone, not csv; convert it first: "
        "elmo-tagger convert train.csv train.conll"
    ]


def test_what_is_in_the_place_of_tags(write) -> None:
    path = write("b.conll", "-DOCSTART- O\n\nYes, NNP\nsir, NN\n")
    assert check_files([path]).failures == [
        "b.conll: no tags: its last column begins with 'NNP' (b.conll:3); expected a token and its tag a line, such as "
        "'London B-LOC' or 'is O'"
    ]


def test_the_training_file_must_be_among_the_files(write) -> None:
    path = write("a.conll", GOOD)
    with pytest.raises(ValueError, match=r"^the training file b\.conll is none of the files to check: a\.conll$"):
        check_files([path], train="b.conll")
    with pytest.raises(ValueError, match=r"^no files to check: expected at least one$"):
        check_files([])


def test_json_has_everything(write) -> None:
    report = check_files([write("train.conll", GOOD * 2)])
    read = json.loads(json.dumps(report.to_json()))
    assert read["files"][0]["entities"] == {"ORG": 2, "MISC": 2, "PER": 2}
    assert read["duplicates"][0]["sentences"] == 2
    assert read["failures"] == []


@pytest.mark.parametrize(
    ("name", "sentences", "entities"), [("train", 3394, 1975), ("dev", 1009, 836), ("test", 1287, 1079)]
)
def test_wnut17(name: str, sentences: int, entities: int) -> None:
    path = Path(__file__).parents[3] / f"shared/data/ner/wnut17/{name}.conll"
    if not path.exists():
        pytest.skip("the data is not here")
    (file,) = check_files([path]).files
    assert (file.sentences, sum(file.entities.values()), file.scheme, file.errors) == (sentences, entities, "BIO", 0)


def test_partial_labels_are_counted_and_only_certain_entities(write) -> None:
    partial = "EU B-ORG|B-LOC\nis O|B-MISC|I-MISC\nPeter B-PER\nBlackburn ?\n\nOslo B-LOC\nis O|B-MISC|I-MISC\n\n"
    report = check_files([write("train.conll", GOOD), write("more.conll", partial)])
    train, more = report.files
    assert (train.unknown_labels, train.choices) == (0, 0)
    assert (more.scheme, more.broken["BIO"], more.unknown_labels, more.choices) == ("BIO", 0, 1, 3)
    assert more.columns == ["tokens", "tags"]
    assert more.entities == {"LOC": 1}
    assert report.failures == report.warnings == []
    assert report.missing_tags == {}


def test_a_choice_that_contradicts_the_scheme_is_an_error_of_its_line(write) -> None:
    report = check_files([write("train.conll", GOOD * 3 + "a O\nb I-PER|I-LOC\n")])
    assert messages(report) == [
        "train.conll:26: I-PER|I-LOC after O: no tags of BIO that these labels allow fit each other"
    ]
    assert len(report.failures) == 1


def test_a_file_of_unknown_labels_can_be_measured_by_nothing_and_teaches_nothing(write) -> None:
    unknown = write("dev.conll", "EU ?\nrejects ?\n\nOslo ?\n")
    report = check_files([write("train.conll", GOOD), unknown])
    assert report.failures == []
    assert report.warnings == ["dev.conll: no label is certain, so there is nothing to score"]
    report = check_files([unknown])
    assert report.failures == ["dev.conll: every tag is O or leaves open what it is, nothing to learn"]


def test_a_bar_in_the_name_of_a_type_is_no_choice(write) -> None:
    report = check_files([write("train.conll", "EU B-ORG|GPE\nrejects I-ORG|GPE\nit O\n" * 3)])
    assert report.files[0].entities == {"ORG|GPE": 3}
    assert (report.files[0].choices, report.failures) == (0, [])
