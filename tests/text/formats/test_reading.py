# ruff: noqa: E501 - tables of inputs and messages, one a line
"""Files as their own tools write them, and what is refused."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.text import DataError
from elmo_tagger.text.formats import FORMATS, Entity, format_of_name, get_format
from tests.text.formats.strategies import read
from tests.text.formats.strategies import write as write_documents

CONLLU = """# newdoc id = w1
# sent_id = 1
# text = Vámonos a Rome.
1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\t_\tMood=Imp\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
2.1\t_\t_\t_\t_\t_\t_\t_\t0:x\t_
3\ta\ta\tADP\t_\t_\t4\tcase\t_\tGloss=to|NER=O
4\tRome\tRome\tPROPN\t_\t_\t1\tobl\t_\tSpaceAfter=No|NER=U-LOC
5\t.\t.\tPUNCT\t_\t_\t1\tpunct\t_\tSpacesAfter=\\n\\n

# sent_id = 2
1\tSí\tsí\tINTJ\t_\t_\t0\troot\t_\t_

"""


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode(errors="surrogatepass") if isinstance(text, str) else text)
    return path


def test_conllu(tmp_path: Path) -> None:
    path = write(tmp_path, "a.conllu", CONLLU)
    (document,) = read(path, "conllu")
    assert document.text == "Vámonos a Rome.\n\nSí"
    assert [sentence.tokens for sentence in document.sentences] == [["Vámonos", "a", "Rome", "."], ["Sí"]]
    assert (document.entities, document.name) == ([Entity(10, 14, "LOC")], "w1")
    document.entities = [Entity(0, 7, "X")]
    write_documents([document], tmp_path / "b.conllu", "conllu")
    written = (tmp_path / "b.conllu").read_text().split("\n")
    assert written[:8] == [
        "# newdoc id = w1",
        "# sent_id = 1",
        "# text = Vámonos a Rome.",
        "1-2\tVámonos\t_\t_\t_\t_\t_\t_\t_\tNER=U-X",
        *CONLLU.split("\n")[4:7],
        "3\ta\ta\tADP\t_\t_\t4\tcase\t_\tGloss=to|NER=O",
    ]
    assert written[9] == "5\t.\t.\tPUNCT\t_\t_\t1\tpunct\t_\tNER=O|SpacesAfter=\\n\\n"


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "Ann 😀 Bo", "entities": [[0, 3, "PER"], [6, 8, "PER"]]}',
        '{"text": "Ann 😀 Bo", "spans": [{"start": 0, "end": 3, "label": "PER"}, {"start": 6, "end": 8, "label": "PER"}]}',
        '{"text": "Ann 😀 Bo", "label": [[0, 3, "PER"], [6, 8, "PER"]], "id": 1}',
        '{"text": "Ann \\ud83d\\ude00 Bo", "labels": [[0, 3, "PER"], [6, 8, "PER"]]}',
        '{"text": "Ann 😀 Bo", "entities": [{"type": "PER", "text": "Ann", "start": 0, "end": 3}, {"type": "PER", "start": 6, "end": 8}]}',
    ],
)
def test_json_lines(tmp_path: Path, line: str) -> None:
    (document,) = read(write(tmp_path, "a.jsonl", line + "\n\n"), "jsonl")
    assert [document.text[start:end] for start, end, _ in document.entities] == ["Ann", "Bo"]
    assert {type_ for _, _, type_ in document.entities} == {"PER"}


def task(start: int, end: int, text: str, **more: object) -> dict[str, object]:
    region = {"type": "labels", "value": {"start": start, "end": end, "text": text, "labels": ["PER"]}}
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    return {"id": 5, "data": {"text": "😀 Ann"}, "annotations": [{"result": [region, choice]}]} | more


@pytest.mark.parametrize(("start", "end"), [(2, 5), (3, 6)], ids=["characters", "utf-16"])
def test_label_studio(tmp_path: Path, start: int, end: int) -> None:
    tasks = [task(start, end, "Ann")]
    tasks[0]["annotations"] += [{"was_cancelled": True, "result": []}]
    (document,) = read(write(tmp_path, "a.json", json.dumps(tasks)), "label-studio")
    assert document.entities == [Entity(2, 5, "PER")]
    tasks[0]["predictions"] = tasks[0].pop("annotations")
    (document,) = read(write(tmp_path, "a.json", json.dumps(tasks)), "label-studio")
    assert document.entities == [Entity(2, 5, "PER")]


def test_brat(tmp_path: Path) -> None:
    write(tmp_path, "d/b.txt", "Ann\nLee in Rome")
    write(
        tmp_path, "d/b.ann", "T1\tPER 0 3;4 7\tAnn Lee\nR1\tin Arg1:T1 Arg2:T2\nT2\tLOC 11 15\tRome\n#1\tNote T1\tx\n"
    )
    write(tmp_path, "d/a.txt", "")
    write(tmp_path, "d/a.ann", "")
    first, second = read(tmp_path / "d", "brat")
    assert (first.name, first.entities, second.name) == ("a", [], "b")
    assert second.entities == [Entity(0, 7, "PER"), Entity(11, 15, "LOC")]
    assert read(tmp_path / "d" / "b.ann", "brat")[0].entities == second.entities
    write(tmp_path, "texts/a.txt", "Ann")
    with pytest.raises(DataError, match=r"texts: a folder without \.ann files: of folders brat's are read"):
        read(tmp_path / "texts", "brat")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.conll", "columns"),
        ("a.iob.gz", "columns"),
        ("a.conllu.xz", "conllu"),
        ("a.jsonl", "jsonl"),
        ("A.JSON", "label-studio"),
        (".", "brat"),
    ],
)
def test_format_by_name(tmp_path: Path, path: str, name: str) -> None:
    assert format_of_name(tmp_path / path).name == name


def test_unknown_formats(tmp_path: Path) -> None:
    names = ", ".join(FORMATS)
    with pytest.raises(DataError, match=rf"a\.pdf: the name does not tell the format, expected one of {names}$"):
        format_of_name(tmp_path / "a.pdf")
    with pytest.raises(DataError, match=rf"^format 'xml': expected one of {names}$"):
        get_format("xml")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("conllu", "1\ta\n", "{}:1: 2 columns, expected 10 set apart by tabs"),
        ("conllu", "x\ta" + "\t_" * 8, "{}:1: ID 'x', expected a number such as 3, 3-4 or 3.1"),
        ("conllu", "1\t" + "\t_" * 8, "{}:1: empty FORM (column 2)"),
        ("conllu", "# a\n\n", "{}: no sentences in it"),
        ("jsonl", "", "{}: no texts in it"),
        ("jsonl", "\n{", "{}:2: no JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1))"),
        ("jsonl", "[1]", '{}:1: expected an object such as {"text": "...", "entities": []}, found [1]'),
        ("jsonl", '{"text": 1}', '{}:1: "text" is 1, expected a string'),
        ("jsonl", '{"text": "a", "label": [[0, 1]]}', "{}:1: entity [0, 1]: expected [start, end, type]"),
        ("jsonl", '{"text": "a", "label": [[0, "1", "X"]]}', "{}:1: entity [0, '1', 'X']: expected whole numbers as start and end"),
        ("jsonl", '{"text": "a", "label": [[0, true, "X"]]}', "{}:1: entity [0, True, 'X']: expected whole numbers as start and end"),
        ("jsonl", '{"text": "a", "label": [[0, 1, ""]]}', "{}:1: entity [0, 1, '']: expected a type as third"),
        ("jsonl", '{"text": "a", "label": [[0, 2, "X"]]}', "{}:1: entity [0, 2, 'X']: expected 0 <= start < end <= 1, the text's length"),
        ("jsonl", '{"text": "a", "token_offsets": [[[0, 1], [0, 1]]]}', "{}:1: token [0, 1]: expected [start, end] behind the last token and within the text"),
        ("jsonl", '{"text": "a", "token_offsets": [[]]}', "{}:1: a sentence without tokens, expected a list of [start, end]"),
        ("jsonl", '{"text": "a", "document_index": "x"}', "{}:1: \"document_index\" is 'x', expected a whole number"),
        ("jsonl", '{"text": "a", "token_offsets": 5}', '{}:1: "token_offsets" is 5, expected a list of sentences'),
        ("jsonl", '{"text": "a", "token_offsets": [5]}', "{}:1: 5 as a sentence, expected a list of [start, end]"),
        ("jsonl", '{"text": "a", "token_offsets": [[5]]}', "{}:1: token 5: expected [start, end] behind the last token and within the text"),
        ("jsonl", '{"text": "a", "token_offsets": [[[0, true]]]}', "{}:1: token [0, True]: expected [start, end] behind the last token and within the text"),
        ("jsonl", '{"text": "a", "entities": {"a": 1}}', "{}:1: \"entities\" is {'a': 1}, expected a list of [start, end, type]"),
        ("jsonl", '{"text": "a", "spans": "x"}', "{}:1: \"spans\" is 'x', expected a list of [start, end, type]"),
        ("jsonl", '{"text": "a", "label": {"a": 1}}', "{}:1: \"label\" is {'a': 1}, expected a list of [start, end, type]"),
        ("jsonl", '{"text": ' + "1" * 5000 + "}", "{}:1: no JSON (Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits; use sys.set_int_max_str_digits() to increase the limit)"),
        ("conllu", "1" * 5000 + "\ta" + "\t_" * 8, "{}:1: ID '" + "1" * 79 + "…', expected a number such as 3, 3-4 or 3.1"),
        ("label-studio", "{}", '{}: expected a list of tasks, as Label Studio exports it with "JSON", found {}'),
        ("label-studio", "[5]", "{}: task 1 is a number, expected an object"),
        ("label-studio", "[{}] 5", "{}: no JSON (Extra data: line 1 column 6 (char 5))"),
        ("label-studio", json.dumps([task(0, 1, "x", annotations=5)]), '{}: task 5: "annotations" is a number, expected a list of objects'),
        ("label-studio", json.dumps([task(0, 1, "x", annotations=[5])]), '{}: task 5: "annotations" holds a number, expected objects alone'),
        ("label-studio", json.dumps([task(0, 1, "x", annotations=[{"result": [None]}])]), '{}: task 5: "result" holds null, expected objects alone'),
        ("label-studio", json.dumps([task(0, 1, "x", annotations=[{"result": [{"type": "labels", "value": 5}]}])]), '{}: task 5: "value" of a region is a number, expected an object'),
        ("label-studio", json.dumps([task(0, 1, "x", annotations=[{"result": [{"type": "labels", "value": {"labels": None}}]}])]), '{}: task 5: "labels" of a region is null, expected a list of strings'),
        ("label-studio", "[]", "{}: no tasks in it"),
        ("label-studio", "[", "{}: no JSON (Expecting value: line 1 column 2 (char 1))"),
        ("label-studio", json.dumps([task(0, 3, "Ann")]), "{}: task 5: region 0 to 3 is '😀 A', but was exported as 'Ann'"),
        ("label-studio", json.dumps([task(2, 5, "Ann", annotations=[{}, {}])]), "{}: task 5: 2 annotations, expected one: decide in Label Studio which one counts"),
    ],
)  # fmt: skip
def test_refused_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = write(tmp_path, "file", text)
    with pytest.raises(DataError) as error:
        read(path, name)
    assert str(error.value) == message.replace("{}", str(path), 1)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ("T1 PER 0 3 Ann", "{}.ann:1: expected 'T1<tab>TYPE START END<tab>TEXT', found 'T1 PER 0 3 Ann'"),
        ("T1\tPER 0 3;7 9\tAnn is", "{}.ann:1: PER 'Ann is' is in several pieces (0 3;7 9), expected one"),
        ("\nT1\tPER 0 3\tBob", "{}.ann:2: PER 'Bob' at 0 3: the text has 'Ann' there"),
        ("T1\tPER 0 99\tAnn", "{}.ann:1: entity [0, 99, 'PER']: expected 0 <= start < end <= 11, the text's length"),
        (
            "T1\tPER 0 " + "9" * 5000 + "\tAnn",
            "{}.ann:1: expected 'T1<tab>TYPE START END<tab>TEXT', found 'T1\\tPER 0 " + "9" * 50 + "…'",
        ),
        (None, "{}.txt: no a.ann beside it"),
    ],
)
def test_refused_brat(tmp_path: Path, annotations: str | None, message: str) -> None:
    write(tmp_path, "a.txt", "Ann Lee is.")
    write(tmp_path, "a.ann" if annotations is not None else "b.ann", annotations or "")
    with pytest.raises(DataError) as error:
        read(tmp_path, "brat")
    assert str(error.value) == message.replace("{}", str(tmp_path / "a"))


def collected(path: Path, name: str) -> tuple[list[str], list[str]]:
    """Texts of what is read, and the errors of what is not."""
    errors: list[DataError] = []
    texts = [document.text for document in read(path, name, report=errors.append)]
    assert all(error.reading for error in errors)
    return texts, [str(error).replace(f"{path}", "{}", 1) for error in errors]


def test_every_ill_formed_line_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    lines = ['{"text": "a"}', "{", '{"text": 1}', '{"text": "b"}', "[1]", '{"text": "c"}']
    texts, errors = collected(write(tmp_path, "a.jsonl", "\n".join(lines)), "jsonl")
    assert texts == ["a", "b", "c"]
    assert [error[:4] for error in errors] == ["{}:2", "{}:3", "{}:5"]
    rows = ["1\ta" + "\t_" * 8, "2\tb", "", "x\tc" + "\t_" * 8, "1\td" + "\t_" * 8, ""]
    texts, errors = collected(write(tmp_path, "a.conllu", "\n".join(rows)), "conllu")
    assert texts == ["a", "d"]
    assert [error[:4] for error in errors] == ["{}:2", "{}:4"]
    tasks = [task(2, 5, "Ann"), 5, task(0, 3, "Ann"), task(2, 5, "Ann")]
    texts, errors = collected(write(tmp_path, "a.json", json.dumps(tasks)), "label-studio")
    assert texts == ["😀 Ann", "😀 Ann"]
    assert [error.split(" is")[0] for error in errors] == ["{}: task 2", "{}: task 5: region 0 to 3"]
    folder = tmp_path / "brat"
    write(folder, "a.txt", "Ann Lee")
    write(folder, "a.ann", "T1\tPER 0 3\tBob\nT2\tPER 4 7\tLee\nT3\tPER 0 99\tAnn\n")
    write(folder, "b.txt", "x")
    write(folder, "c.txt", "y")
    write(folder, "c.ann", "")
    texts, errors = collected(folder, "brat")
    assert texts == ["Ann Lee", "y"]
    assert [error.split(" ")[0] for error in errors] == ["{}/a.ann:1:", "{}/a.ann:3:", "{}/b.txt:"]


@pytest.mark.parametrize("rest", [" 5", "  {}", ", 5"])
def test_what_follows_the_list_of_tasks_is_refused(tmp_path: Path, rest: str) -> None:
    path = write(tmp_path, "a.json", json.dumps([task(2, 5, "Ann")]) + rest)
    with pytest.raises(DataError, match=r"a\.json: no JSON \(Extra data: "):
        read(path, "label-studio")


KEYS = "text entities spans label labels token_offsets document_index id start end type start_offset".split()
KEYS += "data annotations predictions result value was_cancelled".split()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.floats() | st.sampled_from(["", "a", "ab 😀", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


def shaped(draw: st.DrawFn, name: str) -> object:
    """JSON that has the right shape down to some depth and anything below."""
    region = st.one_of(JSON, st.fixed_dictionaries({"type": st.just("labels"), "value": JSON}))
    annotation = JSON | st.fixed_dictionaries({"result": st.lists(region, max_size=2) | JSON})
    text = {"text": st.just("ab 😀") | JSON, "entities": JSON, "token_offsets": st.lists(JSON, max_size=2) | JSON}
    if name == "label-studio":
        annotations = st.lists(annotation, max_size=1) | JSON
        fields = {"data": st.fixed_dictionaries({"text": text["text"]}) | JSON, "annotations": annotations}
        return draw(st.lists(st.fixed_dictionaries(fields) | JSON, max_size=2))
    return draw(st.fixed_dictionaries({}, optional=text) | JSON)


@pytest.mark.parametrize("name", ["jsonl", "label-studio"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_json_of_any_shape_is_read_or_refused(name: str, data: st.DataObject) -> None:
    content = data.draw(st.composite(shaped)(name))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_text(json.dumps(content))
        try:
            documents = read(path, name)
        except DataError as error:
            assert str(error).startswith(str(path))  # noqa: PT017 - not every content is refused
        else:
            for document in documents:
                assert all(0 <= start < end <= len(document.text) for start, end, _ in document.entities)


def test_doccanos_export_with_relations(tmp_path: Path) -> None:
    line = (
        '{"id": 7, "text": "Ann in Rome", "relations": [], "entities": '
        '[{"id": 1, "label": "PER", "start_offset": 0, "end_offset": 3}]}'
    )
    (document,) = read(write(tmp_path, "a.jsonl", line), "jsonl")
    assert document.entities == [Entity(0, 3, "PER")]


def test_a_category_of_the_text_is_no_list_of_entities(tmp_path: Path) -> None:
    (document,) = read(write(tmp_path, "a.jsonl", '{"text": "Ann", "label": "sport"}'), "jsonl")
    assert (document.entities, document.extra) == ([], {"label": "sport"})


def test_refused_brat_folders(tmp_path: Path) -> None:
    write(tmp_path, "a.ann", "")
    with pytest.raises(DataError, match=r": no \.txt files in it$"):
        read(tmp_path, "brat")
    write(tmp_path, "a.txt", b"a\xff")
    write(tmp_path, "a.ann", "")
    with pytest.raises(DataError, match=r"a\.txt: invalid utf-8 at offset 1 of the file$"):
        read(tmp_path, "brat")
