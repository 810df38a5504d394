from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elmo_tagger.corpus.convert import convert_file
from elmo_tagger.corpus.sources import open_source
from elmo_tagger.tagging.schemes import SCHEMES, spans_to_tags, tags_to_spans
from elmo_tagger.text.columns import write_columns
from elmo_tagger.text.formats import FORMATS, FileOptions
from elmo_tagger.text.sentence import Sentence, Span

CONLL = "-DOCSTART- -X- O\n\nEU  NNP\tI-ORG\nrejects VBZ O\n\n\n# NN O\nPeter NNP I-PER\nParis NNP I-LOC\n"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(path: str, scheme: str) -> list[tuple[list[str], list[Span]]]:
    return [(s.tokens, tags_to_spans(s.tags or [], scheme)) for s in open_source(path).sentences()]


TOKEN = st.text(
    st.characters(codec="utf-8", exclude_categories=["Z", "C"], exclude_characters="|"), min_size=1, max_size=6
)


@st.composite
def sentences(draw: st.DrawFn) -> list[tuple[list[str], list[Span]]]:
    """Sentences of any tokens with entities that may touch."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        tokens, spans = [], []
        for entity_type, words in draw(
            st.lists(
                st.tuples(st.sampled_from(["", "PER", "work-of-art"]), st.lists(TOKEN, min_size=1, max_size=3)),
                min_size=1,
            )
        ):
            if entity_type:
                spans.append(Span(len(tokens), len(tokens) + len(words), entity_type))
            tokens += words
        found.append((tokens, spans))
    return found


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "brat"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=sentences(), source=st.sampled_from(list(SCHEMES)), target=st.sampled_from(list(SCHEMES)))
def test_there_and_back(name: str, content: list[tuple[list[str], list[Span]]], source: str, target: str) -> None:
    tagged = [Sentence(tokens, list(spans_to_tags(spans, len(tokens), source))) for tokens, spans in content]
    write_columns(tagged, "in.conll", document_marker=None)
    options = FileOptions(token_column=0, tag_column=1)
    convert_file("in.conll", "there", target_format=name, scheme=source, options=options)
    read_as = FileOptions(format=name)
    convert_file("there", "back.conll", options=read_as, scheme=source if FORMATS[name].has_tags else None, to=target)
    back = open_source("back.conll", options).sentences()
    assert [(s.tokens, tags_to_spans(s, target)) for s in back] == content


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=sentences(), source=st.sampled_from(list(SCHEMES)), target=st.sampled_from(list(SCHEMES)))
def test_there_and_back_through_brat(content: list[tuple[list[str], list[Span]]], source: str, target: str) -> None:
    """Which keeps no tokens: the characters and the entities come back, whatever tokens the tokenizer makes."""
    tagged = [Sentence(tokens, list(spans_to_tags(spans, len(tokens), source))) for tokens, spans in content]
    write_columns(tagged, "in.conll", document_marker=None)
    options = FileOptions(token_column=0, tag_column=1)
    shutil.rmtree("there", ignore_errors=True)
    convert_file("in.conll", "there", target_format="brat", scheme=source, options=options)
    convert_file("there", "back.conll", to=target, split_tokens=True)
    back = [(s.tokens, tags_to_spans(s, target)) for s in open_source("back.conll", options).sentences()]
    assert characters(back) == characters(content)


def characters(content: list[tuple[list[str], list[Span]]]) -> tuple[str, list[tuple[str, str]]]:
    """All tokens and all entities, without the borders of tokens."""
    entities = [("".join(tokens[start:end]), kind) for tokens, spans in content for start, end, kind in spans]
    return "".join(token for tokens, _ in content for token in tokens), entities


def test_column_files_keep_all_but_the_tags() -> None:
    Path("in.conll").write_text(CONLL, encoding="utf-8")
    report = convert_file("in.conll", "out.conll", to="bioul")
    assert Path("out.conll").read_text(encoding="utf-8") == CONLL.replace("I-", "U-")
    assert vars(report) == {
        "source_format": "columns",
        "target_format": "columns",
        "source_scheme": "IOB1",
        "target_scheme": "BIOUL",
        "sentences": 2,
        "entities": 3,
        "partial_labels": 0,
        "skipped": 0,
        "messages": [],
    }


def test_tokens_with_spaces() -> None:
    Path("in.tsv").write_text("New York\tx\tB-LOC\nis\t\tO\n", encoding="utf-8")
    convert_file("in.tsv", "out.tsv", to="BIOES", options=FileOptions(separator="\t"))
    assert Path("out.tsv").read_text(encoding="utf-8") == "New York\tx\tS-LOC\nis\t\tO\n"


def test_a_file_may_be_converted_in_place() -> None:
    Path("a.conll").write_text("EU B-ORG\n", encoding="utf-8")
    convert_file("a.conll", "a.conll", to="BIOUL")
    assert Path("a.conll").read_text(encoding="utf-8") == "EU U-ORG\n"


def test_brat_and_back() -> None:
    Path("in.conll").write_text("Peter B-PER\nBlackburn I-PER\nsays O\n\nEU B-ORG\nrejects O\n", encoding="utf-8")
    convert_file("in.conll", "folder", target_format="brat")
    assert sorted(path.suffix for path in Path("folder").iterdir()) == [".ann", ".ann", ".txt", ".txt"]
    convert_file("folder", "back.conll", to="BIO")
    assert read("back.conll", "BIO") == read("in.conll", "BIO")


def test_texts_are_tokenised_for_tags() -> None:
    Path("in.jsonl").write_text(
        json.dumps({"text": "Mr. Smith's dog barked. He left.", "entities": [[4, 9, "PER"]]}), encoding="utf-8"
    )
    convert_file("in.jsonl", "out.conll", to="BIOES")
    assert Path("out.conll").read_text(encoding="utf-8") == (
        "-DOCSTART- O\n\nMr. O\nSmith S-PER\n's O\ndog O\nbarked O\n. O\n\nHe O\nleft O\n. O\n\n"
    )


def test_entities_within_tokens() -> None:
    Path("in.jsonl").write_text(
        json.dumps({"text": "the Berlinwide ban", "entities": [[4, 10, "LOC"]]}), encoding="utf-8"
    )
    with pytest.raises(ValueError, match=r"^in\.jsonl:1: LOC 'Berlin' \(4 to 10\) cuts the token 'Berlinwide'"):
        convert_file("in.jsonl", "out.conll")
    assert not Path("out.conll").exists()
    convert_file("in.jsonl", "out.conll", split_tokens=True)
    assert read("out.conll", "BIO") == [(["the", "Berlin", "wide", "ban"], [Span(1, 2, "LOC")])]


def test_ill_formed_tags_are_refused_unless_leniently_read() -> None:
    Path("in.conll").write_text("EU B-ORG\n\na B-X\nb I-X\n\nx O\nPeter I-PER\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"^the tags fit no scheme; nearest is BIO, .* first at in\.conll:7: I-PER after O"
    ):
        convert_file("in.conll", "out.conll", to="BIOUL")
    with pytest.raises(ValueError, match=r"^in\.conll:7: I-PER after O: BIO expects B-PER or I-PER before it"):
        convert_file("in.conll", "out.conll", to="BIOUL", scheme="BIO")
    convert_file("in.conll", "out.conll", to="BIOUL", lenient=True)
    assert Path("out.conll").read_text(encoding="utf-8").endswith("x O\nPeter U-PER\n")


def test_sources_of_every_format_have_the_same_sentences() -> None:
    Path("in.conll").write_text("Peter B-PER\nBlackburn I-PER\nsays O\n\nEU B-ORG\nrejects O\n", encoding="utf-8")
    for name, path in [
        ("conllu", "a.conllu"),
        ("jsonl", "a.jsonl"),
        ("doccano", "b.jsonl"),
        ("label-studio", "a.json"),
    ]:
        convert_file("in.conll", path)
        assert open_source(path).format.name == ("jsonl" if name == "doccano" else name)
        assert read(path, "BIO") == read("in.conll", "BIO")
    assert open_source("a.jsonl").sentences().__next__().where() == "a.jsonl:1"


@pytest.mark.parametrize("target", ["out.conll", "out.jsonl", "out.csv"])
def test_bad_lines_are_refused_or_skipped_and_counted(target: str) -> None:
    """As the Broad Twitter Corpus has them."""
    Path("in.conll").write_text("a\tB-X\nb\n\tO\nc\tI-X\n\nd e f\n\ng\tO\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^in\.conll:2: 1 column, expected 2 as in line 1"):
        convert_file("in.conll", target)
    assert not Path(target).exists()
    done = convert_file("in.conll", target, skip_bad_lines=True)
    assert (done.sentences, done.skipped) == (2, 3)
    assert [message.split(" ")[0] for message in done.messages] == ["in.conll:2:", "in.conll:3:", "in.conll:6:"]
    assert read(target, "BIO") == [(["a", "c"], [Span(0, 2, "X")]), (["g"], [])]


def test_what_cannot_be_read_as_a_whole_is_not_skipped() -> None:
    Path("empty.conll").touch()
    Path("cp1252.conll").write_bytes("Zoë B-PER\n".encode("cp1252"))
    for name, message in (("empty.conll", "found no tags: it is empty"), ("cp1252.conll", "it looks like cp1252")):
        with pytest.raises(ValueError, match=message):
            convert_file(name, "out.conll", skip_bad_lines=True)
    convert_file("cp1252.conll", "out.conll", options=FileOptions(encoding="cp1252"), to="BIOES")
    assert Path("out.conll").read_text(encoding="utf-8") == "Zoë S-PER\n"


def test_tables_of_values_there_and_back() -> None:
    Path("in.conll").write_text('"\tO\nNew York\tB-LOC\n"\tO\n\n,\tO\n', encoding="utf-8")
    convert_file("in.conll", "there.csv")
    assert Path("there.csv").read_text(encoding="utf-8").splitlines()[:3] == [
        "sentence,token,tag",
        '1,"""",O',
        "1,New York,B-LOC",
    ]
    convert_file("there.csv", "back.tsv")
    assert Path("back.tsv").read_text(encoding="utf-8") == '"\tO\nNew York\tB-LOC\n"\tO\n\n,\tO\n\n'


def test_conversions_that_cannot_be_say_why() -> None:
    Path("in.conll").write_text("EU B-ORG\n", encoding="utf-8")
    Path("words").write_text("EU\nrejects\n", encoding="utf-8")
    for arguments, options, message in [
        (
            ("in.conll", "out.xyz"),
            {},
            "out.xyz: the name does not tell the format, expected one of columns, csv, conllu",
        ),
        (
            ("in.conll", "out.jsonl"),
            {"to": "BIO"},
            "--to BIO: jsonl has character offsets, and no tags that could be BIO",
        ),
        (("in.conll", "out.conll"), {"to": "BIX"}, "unknown tag scheme 'BIX', expected one of BIO/IOB2"),
        (
            ("in.conll", "out.conll"),
            {"options": FileOptions(format="xml")},
            "format 'xml': expected one of columns, csv, conllu",
        ),
        (("words", "out.conll"), {}, "words: found no tags: its last column begins with"),
    ]:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  (the text is compared below)
            convert_file(*arguments, **options)
        assert str(caught.value).startswith(message)
    with pytest.raises(FileNotFoundError):
        convert_file("missing.conll", "out.conll")


def test_partial_labels_keep_what_they_allow() -> None:
    Path("in.conll").write_text("EU I-ORG|I-LOC\nis ?\nOslo I-LOC\n\n", encoding="utf-8")
    report = convert_file("in.conll", "out.conll", scheme="IOB1", to="BIO")
    assert Path("out.conll").read_text(encoding="utf-8") == "EU B-LOC|B-ORG\nis ?\nOslo B-LOC|I-LOC\n\n"
    assert (report.sentences, report.entities, report.partial_labels) == (1, 0, 2)
    convert_file("out.conll", "out.csv")
    convert_file("out.csv", "back.conll")
    assert Path("back.conll").read_text(encoding="utf-8") == Path("out.conll").read_text(encoding="utf-8")


def test_character_offsets_cannot_express_partial_labels() -> None:
    Path("in.conll").write_text("EU B-ORG\nis ?\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"in.conll:2: '\?' leaves open what the token is, which jsonl cannot express"):
        convert_file("in.conll", "out.jsonl")
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize("scheme", ["BIO", "BIOUL"])
def test_types_that_a_file_does_not_annotate_become_choices(scheme: str) -> None:
    Path("in.conll").write_text("EU B-ORG\nis O\nnot ?\nOslo O|B-LOC\n\n", encoding="utf-8")
    convert_file("in.conll", "out.conll", to=scheme, unannotated=["MISC", "PER"])
    letters = "BI" if scheme == "BIO" else "BILU"
    hidden = "|".join(["O", *(f"{letter}-{kind}" for kind in ("MISC", "PER") for letter in letters)])
    tags = [line.split()[1] for line in Path("out.conll").read_text(encoding="utf-8").splitlines() if line]
    assert tags[1:3] == [hidden, "?"]
    assert tags[3] == ("O|B-LOC|" if scheme == "BIO" else "O|U-LOC|") + hidden[2:]


@pytest.mark.parametrize("unannotated", ["", "a b", "A|B"])
def test_an_unannotated_type_is_the_name_of_a_type(unannotated: str) -> None:
    Path("in.conll").write_text("EU B-ORG\nis O\n", encoding="utf-8")
    with pytest.raises(ValueError, match="expected a type such as MISC"):
        convert_file("in.conll", "out.conll", unannotated=[unannotated])
