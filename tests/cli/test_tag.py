"""`elmo-tagger tag`: every kind of input to every kind of output; what is tagged is tested in tests/tagger."""

import csv
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from elmo_tagger.cli import tag_outputs, tag_ray
from elmo_tagger.cli.app import app
from elmo_tagger.cli.tag_inputs import Item
from elmo_tagger.tagger import Document, Entity, Tagger
from elmo_tagger.text import read_columns
from tests.tagger.conftest import make_tagger

TEXT = "Emma flew to Oslo.\nEmma was far. 👩‍👩‍👧\n\nOslo <b> & Emma.\n"
DOCX = b"PK\x03\x04\x14\x00\x06\x00\x08\x00!\x00\xdf\xa4\n"
PARAGRAPHS = [block.strip() for block in TEXT.split("\n\n")]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return make_tagger()


@pytest.fixture(scope="module")
def model(tagger: Tagger, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model") / "tagger"
    tagger.save(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text(TEXT)


def run(model: str, *arguments: str, stdin: str | bytes | None = None):
    result = CliRunner().invoke(app, ["tag", model, *arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """Without the last digits, which float32 does not hold."""
    entities = [{**entity, "confidence": round(entity["confidence"], 4)} for entity in document["entities"]]
    return {**document, "entities": entities}


def test_each_paragraph_of_a_text_is_a_document(model: str, tagger: Tagger) -> None:
    for result in (run(model, "in.txt"), run(model, stdin=TEXT), run(model, "-", stdin=TEXT)):
        assert (result.exit_code, result.stderr) == (0, "")
        expected = [tagger(text).to_json() for text in PARAGRAPHS]
        assert [comparable(line) for line in lines(result.stdout)] == [comparable(each) for each in expected]
    documents = lines(run(model, "in.txt", "--per-line").stdout)
    assert [document["text"] for document in documents] == [line for line in TEXT.splitlines() if line]


def test_json_lines_keep_their_other_keys(model: str) -> None:
    given = [{"text": "Emma. Oslo.", "id": 7}, {"sentence": "Emma. Oslo."}, {"tokens": ["Emma", "Oslo"]}]
    for name in ("in.jsonl", "in.txt"):
        Path(name).write_text("\n".join(map(json.dumps, given)))
        found = lines(run(model, name).stdout)
        assert found[0]["id"] == 7
        assert [len(document["sentences"]) for document in found] == [2, 1, 1]


@pytest.mark.parametrize("name", ["in.conll", "in.tsv", "in.csv", "in.conllu", "-"])
def test_annotated_files_keep_their_tokens_and_tags(name: str, model: str) -> None:
    sentences = "Emma\tB-PER\nflew\tO\n\nOslo\tB-LOC\n.\tO\n"
    Path("in.conll").write_text(sentences)
    if name not in ("in.conll", "-"):
        assert CliRunner().invoke(app, ["convert", "in.conll", name]).exit_code == 0
    found = lines(run(model, name, stdin=sentences if name == "-" else None).stdout)
    assert [document["tokens"] for document in found] == [["Emma", "flew"], ["Oslo", "."]]
    assert [document["gold_tags"] for document in found] == [["B-PER", "O"], ["B-LOC", "O"]]
    run(model, "in.conll", "-o", "out.jsonl")
    assert CliRunner().invoke(app, ["score", "out.jsonl"]).exit_code == 0, "gold and predicted in one file"


def test_columns_come_out_with_their_documents(model: str, tagger: Tagger) -> None:
    Path("in.conll").write_text("-DOCSTART- O\n\nEmma O\n\nflew O\n\n-DOCSTART- O\n\nOslo O\n")
    assert run(model, "in.conll", "-o", "out.conll").exit_code == 0
    found = list(read_columns("out.conll"))
    assert [(sentence.tokens, sentence.document) for sentence in found] == [(["Emma"], 0), (["flew"], 0), (["Oslo"], 1)]
    assert [sentence.tags for sentence in found] == [tagger.tag(sentence.tokens).tags for sentence in found]


def test_a_table_of_entities(model: str) -> None:
    assert run(model, "in.txt", "-o", "out.csv").exit_code == 0
    rows = list(csv.DictReader(io.StringIO(Path("out.csv").read_text())))
    expected = [entity for document in lines(run(model, "in.txt").stdout) for entity in document["entities"]]
    assert [(row["type"], row["text"]) for row in rows] == [(each["type"], each["text"]) for each in expected]
    assert {(row["file"], row["line"]) for row in rows} <= {("in.txt", "1"), ("in.txt", "4")}
    assert rows


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.marks: list[str] = []
        self.tags: set[str] = set()
        self._in_mark = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)
        self._in_mark = tag == "mark"

    def handle_data(self, data: str) -> None:
        if self._in_mark:
            self.marks.append(data)
        self._in_mark = False


def test_a_page_for_a_browser(model: str) -> None:
    assert run(model, "in.txt", "-o", "out.html").exit_code == 0
    text = Path("out.html").read_text()
    page = _Page(text)
    expected = [entity["text"] for document in lines(run(model, "in.txt").stdout) for entity in document["entities"]]
    assert page.marks[: len(expected)] == expected
    assert not page.tags & {"script", "b", "img", "link"}, "the text's own tags are text"
    assert not re.search(r"url\(|@import|https?:", text)


def test_coloured_text_on_a_terminal() -> None:
    text = "Emma\x1b[2J met Tim"
    entities = [Entity("PER", "Emma\x1b[2J", 0, 8, 0, 1, 0.99), Entity("PER", "Tim", 13, 16, 2, 3, 0.5)]
    document = Document(text, ["Emma\x1b[2J", "met", "Tim"], ["U-PER", "O", "U-PER"], [(0, 3)], entities)
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80)
    tag_outputs.print_coloured([(Item({}, "in", line), document) for line in (1, 2, 4)], console=console)
    shown = output.getvalue()
    line = "Emma\\x1b[2J PER 0.99 met Tim PER 0.50\n"
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == f"{line}{line}\n{line}", "paragraphs stay apart"
    assert shown.count("\x1b[1;") == 6, "both are bold and coloured"


def test_unsure_entities_are_left_out_and_alternatives_listed(model: str) -> None:
    every = [entity for line in lines(run(model, "in.txt").stdout) for entity in line["entities"]]
    limit = sorted(entity["confidence"] for entity in every)[len(every) // 2]
    sure = lines(run(model, "in.txt", "--min-confidence", str(limit)).stdout)
    assert 0 < sum(len(line["entities"]) for line in sure) < len(every)
    several = lines(run(model, "in.txt", "--top-k", "3").stdout)
    assert all(len(taggings) == 3 for line in several for taggings in line["n_best"])
    refused = run(model, "in.txt", "--top-k", "3", "-o", "out.conll")
    assert refused.stderr == "error: --top-k 3: out.conll has no place for several taggings: expected .jsonl\n"


def test_bad_lines_are_named_or_left_out_and_counted(model: str) -> None:
    good = '{"text": "Emma."}\n'
    Path("in.jsonl").write_text(good + "{\n" + good + '{"txt": "Oslo"}\n' + good)
    result = run(model, "in.jsonl", "-o", "out.jsonl")
    assert (result.exit_code, Path("out.jsonl").exists()) == (2, False)
    assert result.stderr.startswith("error: in.jsonl:2: no JSON (")
    result = run(model, "in.jsonl", "-o", "out.jsonl", "--skip-bad-lines")
    assert (result.exit_code, len(lines(Path("out.jsonl").read_text()))) == (0, 3)
    assert "warning: left out: in.jsonl:4: none of these keys given" in result.stderr
    assert result.stderr.endswith("warning: 2 bad lines were left out\n")


def test_nothing_is_destroyed(model: str) -> None:
    for output in ("in.txt", f"{model}/config.json"):
        before = Path(output).read_bytes()
        for force in ([], ["--force"]):
            result = run(model, "in.txt", "-o", output, *force)
            assert (result.exit_code, Path(output).read_bytes()) == (2, before)
    assert run(model, "in.txt", "-o", "out.jsonl").exit_code == 0
    assert run(model, "in.txt", "-o", "out.jsonl").stderr.endswith(
        "exists already: expected another name, or --force\n"
    )
    assert run(model, "in.txt", "-o", "out.jsonl", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.txt"], "error: nowhere.txt: No such file or directory\n"),
        (["my letter.txt"], "error: my letter.txt: No such file or directory\n"),
        (["Emma flew to Oslo."], "error: 'Emma flew to Oslo.': no such file; to tag a text itself: echo '...' | elmo-"),
        (["Emma " * 99], "error: 'Emma Emma"),
        (["in.docx"], "error: in.docx: a zip archive, as .docx, .xlsx and .odt files are: expected plain text: save"),
        (["empty"], "error: empty: a folder without .ann files: of folders brat's are read"),
        (["in.txt", "-o", "out.pdf"], "error: out.pdf: expected a name that ends in one of .jsonl, .ndjson, .conll"),
        (["in.txt", "--format", "xml"], "error: format 'xml': expected one of columns"),
        (["in.txt", "--device", "gpu"], "error: device 'gpu': not available here"),
        (["in.txt", "--language", "qq"], "error: input 1: language 'qq': spaCy offers no tokenizer for it here"),
        (["cp1252.txt"], "error: cp1252.txt:1: invalid utf-8: byte 0xeb at offset 2 of the file"),
    ],
)
def test_options_that_do_not_fit_are_one_line(arguments: list[str], message: str, model: str) -> None:
    Path("cp1252.txt").write_bytes("Zoë".encode("cp1252"))
    Path("in.docx").write_bytes(DOCX)
    Path("empty").mkdir()
    result = run(model, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)
    assert lines(run(model, "cp1252.txt", "--encoding", "cp1252").stdout)[0]["text"] == "Zoë"


def test_a_document_on_standard_input_is_no_text(model: str) -> None:
    result = run(model, "-", stdin=DOCX)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: standard input: a zip archive")


@pytest.mark.parametrize("name", ["nowhere", "empty.tar.gz", "text.tar.gz", "folder"])
def test_what_is_no_model_is_one_line(name: str) -> None:
    Path("empty.tar.gz").touch()
    Path("text.tar.gz").write_text("text")
    Path("folder").mkdir()
    result = run(name, "in.txt")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert name in result.stderr


def test_nothing_to_tag(model: str) -> None:
    Path("empty.txt").touch()
    assert run(model, "empty.txt").stdout == ""
    for name in ("out.jsonl", "out.csv", "out.html", "out.conll"):
        assert run(model, "empty.txt", "-o", name).exit_code == 0


def test_a_text_of_any_length_is_cut_at_lines(model: str) -> None:
    Path("long.txt").write_text("Emma flew to Oslo.\n" * 2500)
    texts = [document["text"] for document in lines(run(model, "long.txt").stdout)]
    assert "\n".join(texts) == Path("long.txt").read_text().rstrip("\n")
    assert max(map(len, texts)) <= 20_000


class RayHere:
    """What Ray does, done by this process; of several answers the last one that was asked for comes first."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def remote(self, kind: type) -> Any:
        def make(*arguments: Any) -> Any:
            worker = kind(*arguments)
            self.made.append(worker)
            return SimpleNamespace(tag=SimpleNamespace(remote=lambda inputs: Answer(worker.tag(inputs))))

        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=make))

    def wait(self, answers: list["Answer"], num_returns: int) -> tuple[list["Answer"], list["Answer"]]:
        return answers[-num_returns:], answers[:-num_returns]

    def get(self, answer: "Answer") -> Any:
        return answer.value

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}


class Answer:
    """Of a worker."""

    def __init__(self, value: Any) -> None:
        self.value = value


def test_through_ray_in_order_and_each_worker_loads_the_model_once(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = RayHere()
    monkeypatch.setattr(tag_ray, "import_ray", lambda: ray)
    Path("many.txt").write_text("\n\n".join(f"Emma {n} flew to Oslo." for n in range(100)))
    shared = run(model, "many.txt", "--ray", "--batch-size", "3")
    assert shared.exit_code == 0
    alone = run(model, "many.txt")
    assert [comparable(line) for line in lines(shared.stdout)] == [comparable(line) for line in lines(alone.stdout)]
    assert len(ray.made) == 2


def test_ray_is_given_a_bounded_number_of_documents_ahead(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_ray, "import_ray", RayHere)
    read = 0

    def items() -> Iterator[Item]:
        nonlocal read
        for read in range(1, 101):
            yield Item({"text": "Emma"}, "in.txt", read)

    options = {"load_options": {"device": "cpu"}, "pipe_options": {"batch_size": 1}, "workers": 2}
    for done, _ in enumerate(tag_ray.tag_with_ray(items(), model, **options)):
        assert read - done <= tag_ray.AHEAD * 2
    assert read == done + 1


def test_a_model_that_is_none_is_known_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_ray, "import_ray", pytest.fail)
    result = run("nowhere", "in.txt", "--ray")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert result.stderr.startswith("error: nowhere: no such file or directory")
