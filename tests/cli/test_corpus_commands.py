from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from elmo_tagger.cli.app import app

GOOD = "EU B-ORG\nrejects O\nGerman B-MISC\ncall O\n\nPeter B-PER\nBlackburn I-PER\n\n"
PREDICTED = GOOD.replace("B-MISC", "O").replace("I-PER", "B-PER")


def run(*arguments: str, stdin: str | bytes | None = None):
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.conll").write_text(GOOD, encoding="utf-8")
    Path("pred.conll").write_text(PREDICTED, encoding="utf-8")
    Path("both.conll").write_text(
        "".join(
            f"{a} {b.split()[-1]}\n" if a else "\n"
            for a, b in zip(GOOD.split("\n"), PREDICTED.split("\n"), strict=True)
        ),
        encoding="utf-8",
    )


def test_check() -> None:
    result = run("check", "train.conll")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[-1] == "OK"
    header = next(index for index, line in enumerate(lines) if line.startswith("file "))
    assert lines[header + 1].split() == ["train.conll", "tokens", "tags", "BIO", "2", "6", "3", "0", "0"]


def test_check_fails_with_status_1_and_says_where() -> None:
    Path("bad.conll").write_text(GOOD * 3 + "x\ny I-PER\n", encoding="utf-8")
    result = run("check", "bad.conll", "train.conll", "--train", "train.conll")
    assert result.exit_code == 1
    assert "bad.conll:25: 1 column, expected 2 as in line 1" in result.stdout
    assert "bad.conll:26: I-PER at the start of the sentence" in result.stdout
    assert "error: bad.conll: 2 ill-formed lines" in result.stdout
    assert result.stdout.splitlines()[-1] == "1 error: training would fail"
    as_json = run("check", "bad.conll", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["failures"][0].startswith("bad.conll: 2 ill-formed lines")


def test_check_shows_as_much_as_asked_for() -> None:
    Path("bad.conll").write_text(GOOD * 3 + "a I-PER\n\n" * 5, encoding="utf-8")
    out = run("check", "bad.conll", "--show", "2").stdout
    assert out.count("at the start of the sentence") == 2
    assert "... and 3 more" in out


def test_score() -> None:
    result = run("score", "train.conll", "pred.conll", "--train", "train.conll")
    assert result.exit_code == 0
    assert "processed 6 tokens in 2 sentences with 3 phrases; found: 3 phrases; correct: 1." in result.stdout
    overall = next(line for line in result.stdout.splitlines() if line.startswith("overall"))
    assert overall.split()[2:] == ["33.33", "33.33", "33.33", "33.33", "33.33", "33.33", "3", "3", "1"]
    assert "seen " in result.stdout
    both = run("score", "both.conll").stdout
    assert both.splitlines()[0] == result.stdout.splitlines()[0]


def test_score_says_why_the_countings_differ() -> None:
    Path("ill.conll").write_text(GOOD.replace("B-ORG", "I-ORG"), encoding="utf-8")
    out = run("score", "train.conll", "ill.conll").stdout
    assert "The counts differ because 1 predicted tags in 1 sentences are ill-formed in BIO" in out
    assert "train.conll:1: I-ORG at the start of the sentence" in out


def test_score_shows_whether_confidences_are_calibrated() -> None:
    line = {"tokens": ["Tim"], "tags": ["B-PER"], "entities": [{"token_start": 0, "confidence": 0.75}]}
    Path("gold.conll").write_text("Tim B-PER\n", encoding="utf-8")
    Path("pred.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    out = run("score", "gold.conll", "pred.jsonl").stdout
    assert "expected calibration error: 0.2500" in out
    assert "0.7-0.8" in out


def test_score_for_machines_and_browsers() -> None:
    result = run("score", "train.conll", "pred.conll", "--json", "--html", "report.html")
    assert json.loads(result.stdout)["conlleval"]["micro"]["correct"] == 1
    assert "Sentences with mistakes" in Path("report.html").read_text(encoding="utf-8")


def test_compare() -> None:
    arguments = ("compare", "train.conll", "train.conll", "--", "pred.conll", "pred.conll", "--resamples", "50")
    result = run(*arguments, "--gold", "train.conll")
    assert result.exit_code == 0
    overall = next(line for line in result.stdout.splitlines() if line.startswith("overall"))
    assert overall.split()[:8] == ["overall", "100.00", "±", "0.00", "33.33", "±", "0.00", "+66.67"]
    assert result.stderr == ""
    as_json = run(*arguments, "--gold", "train.conll", "--json").stdout
    assert json.loads(as_json)["rows"][0]["difference"] == pytest.approx(200 / 3)
    assert as_json == run(*arguments, "--gold", "train.conll", "--json", "--seed", "0").stdout


def test_compare_warns_on_standard_error() -> None:
    Path("other.conll").write_text("x O O\n\n" + Path("both.conll").read_text().split("\n\n", 1)[1], encoding="utf-8")
    result = run("compare", "both.conll", "--", "other.conll", "--resamples", "10")
    assert "warning: other.conll is not on the same gold file as both.conll" in result.stderr
    assert "warning: one run of each system" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "b"], "error: expected the runs of A and those of B with one -- between them, got 0"),
        (["a", "--"], "error: expected runs on both sides of --, got 1 and 0"),
        (["a", "--", "b", "--", "c"], "error: expected the runs of A and those of B with one -- between them, got 2"),
    ],
)
def test_compare_needs_two_lists(arguments: list[str], message: str) -> None:
    result = run("compare", *arguments)
    assert (result.exit_code, result.stderr) == (2, message + "\n")


BROKEN = {
    "empty": b"",
    "blank": b"\n\n\n",
    "latin1": "Zürich B-LOC\n".encode("latin-1"),
    "utf16": "EU B-ORG\n".encode("utf-16"),
    "zeros": bytes(1000),
    "noise": bytes(range(256)) * 20,
    "document.conll": b"PK\x03\x04\x14\x00\x06\x00\n",
    "ragged": b"EU B-ORG\nrejects\ncall O O O\n",
    "untagged": b"EU\nrejects\n",
    "no_scheme": b"EU X-ORG\nrejects Y-ORG\n",
    "json_cut": b'{"tags": ["O", \n',
    "json_list": b'[{"tags": ["O"]}]\n',
    "json_types": b'{"tags": {"a": 1}, "tokens": 3}\n',
    "json_nested": b'{"tags": ' + b"[" * 50_000 + b"]" * 50_000 + b"}\n",
    "gold_json.jsonl": b'{"tags": ["O"], "tokens": ["a"]}\n',
    "surrogate.jsonl": b'{"tags": ["O"], "tokens": ["\\ud800"]}\n',
    "cut.gz": gzip.compress(GOOD.encode() * 50)[:60],
    "not.gz": GOOD.encode(),
    "not.xz": GOOD.encode(),
    "offsets.jsonl": b'{"text": "a", "token_offsets": 5}\n',
    "digits.jsonl": b'{"text": "a", "n": ' + b"1" * 5000 + b"}\n",
    "tasks.json": b'[{"data": {"text": "a"}, "annotations": [{"result": [5]}]}]',
    "regions.json": b'[{"data": {"text": "a"}, "annotations": [{"result": [{"type": "labels", "value": 5}]}]}]',
    "folder": None,
    "missing": None,
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", ["check", "gold", "pred", "alone", "train", "compare"])
def test_no_file_makes_a_traceback(name: str, command: str) -> None:
    data = BROKEN[name]
    if data is not None:
        Path(name).write_bytes(data)
    elif name == "folder":
        Path(name).mkdir()
    arguments = {
        "check": ["check", name, "train.conll", "--train", "train.conll"],
        "gold": ["score", name, "pred.conll"],
        "pred": ["score", "train.conll", name],
        "alone": ["score", name],
        "train": ["score", "train.conll", "pred.conll", "--train", name],
        "compare": ["compare", name, "--", name, "--resamples", "5"],
    }[command]
    result = run(*arguments)
    if command == "check" and result.exit_code == 1:
        assert f"\nerror: {name}: " in result.stdout
    else:
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("error: ")
        assert name in result.stderr or "tags: the tags fit no scheme" in result.stderr


def test_a_pipe_that_closes_is_no_error() -> None:
    program = "import sys; from elmo_tagger.cli import main; sys.argv[0] = 'elmo-tagger'; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, "check", "train.conll"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path.cwd(),
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": ""},
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_convert() -> None:
    result = run("convert", "train.conll", "out.conll", "--to", "bioul")
    assert result.stdout == ("train.conll to out.conll: columns (BIO) to columns (BIOUL), 3 entities in 2 sentences\n")
    assert Path("out.conll").read_text(encoding="utf-8").startswith("EU U-ORG\n")
    as_json = run("convert", "out.conll", "out.jsonl", "--json")
    assert json.loads(as_json.stdout)["target_format"] == "jsonl"
    back = run("convert", "out.jsonl", "back.conll", "--to", "BIO")
    assert back.stdout.endswith("jsonl to columns (BIO), 3 entities in 2 documents\n")
    assert Path("back.conll").read_text(encoding="utf-8").replace("\n\n", "\n").split() == GOOD.split()


def test_convert_does_not_write_over_its_input() -> None:
    Path("link.conll").symlink_to("train.conll")
    for name in ("train.conll", "link.conll"):
        result = run("convert", "train.conll", name, "--to", "BIOES")
        message = f"error: {name}: is an input: expected another name for what is written\n"
        assert (result.exit_code, result.stderr) == (2, message)
    assert Path("train.conll").read_text(encoding="utf-8") == GOOD


@pytest.mark.parametrize("command", [["check"], ["score"], ["convert", "--out-format", "jsonl"], ["compare"]])
def test_a_tab_as_it_is_typed_in_a_shell(command: list[str]) -> None:
    """Tokens with a space: with other separators the lines have several numbers of columns."""
    Path("tabs.tsv").write_text("New York\tB-LOC\tB-LOC\nis\tO\tO\n", encoding="utf-8")
    files = {"convert": ["tabs.tsv", "out"], "compare": ["tabs.tsv", "--", "tabs.tsv", "--resamples", "9"]}
    result = run(*command, "--separator", r"\t", *files.get(command[0], ["tabs.tsv"]))
    assert (result.exit_code, "error" in result.stderr) == (0, False)


@pytest.mark.parametrize("format", ["columns", "conllu", "jsonl", "doccano", "label-studio", "brat"])
@pytest.mark.parametrize("name", BROKEN)
def test_no_file_makes_convert_trace_back(name: str, format: str) -> None:
    data = BROKEN[name]
    if data is not None:
        Path(name).write_bytes(data)
    elif name == "folder":
        Path(name).mkdir()
    result = run("convert", name, "out", "--in-format", format, "--out-format", "jsonl")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert not Path("out").exists(), "nothing half-written is left behind"


def test_convert_says_which_option_helps() -> None:
    Path("a.jsonl").write_text('{"text": "Berlinwide", "entities": [[0, 6, "LOC"]]}', encoding="utf-8")
    result = run("convert", "a.jsonl", "out.conll")
    assert (result.exit_code, Path("out.conll").exists()) == (2, False)
    assert "cuts the token 'Berlinwide'" in result.stderr
    assert "--split-tokens" in result.stderr
    assert run("convert", "a.jsonl", "out.conll", "--split-tokens").exit_code == 0


def test_convert_loses_nothing_without_saying_so() -> None:
    Path("a.jsonl").write_text('{"text": "Ann"}\n{"text": " "}\n', encoding="utf-8")
    result = run("convert", "a.jsonl", "out.conll")
    assert result.stderr == "error: a.jsonl:2: no tokens: a column file cannot express an empty text\n"
    assert not Path("out.conll").exists()
    row = "1\tAnn" + "\t_" * 8 + "\n\n"
    Path("a.conllu").write_text("# newdoc id = d1\n" + row, encoding="utf-8")
    run("convert", "a.conllu", "b.conllu")
    assert Path("b.conllu").read_text(encoding="utf-8").startswith("# newdoc id = d1\n")


def test_an_error_names_the_file_that_was_asked_for() -> None:
    result = run("convert", "train.conll", "nowhere/x.conll")
    assert result.stderr == "error: nowhere/x.conll: No such file or directory\n"


def test_pipes() -> None:
    both = Path("both.conll").read_text(encoding="utf-8")
    assert run("score", "-", stdin=both).stdout == run("score", "both.conll").stdout.replace("both.conll", "-")
    report = json.loads(run("check", "-", "--json", stdin=GOOD + "x\n").stdout)
    assert report["files"][0]["messages"][0].startswith("-:9: 1 column, expected 2")
    assert run("score", "train.conll", "-", stdin=PREDICTED).stdout == run("score", "train.conll", "pred.conll").stdout
    result = run("convert", "-", "-", "--to", "BIOUL", stdin=GOOD)
    assert (result.exit_code, result.stdout) == (0, run_to_file("convert", "train.conll", "o.conll", "--to", "BIOUL"))
    assert result.stderr.startswith("- to -: columns (BIO) to columns (BIOUL), 3 entities")
    refused = run("convert", "-", "-", "--out-format", "brat", stdin=GOOD)
    assert refused.stderr == "error: -: a folder of files is written: expected the name of a folder, not a pipe\n"


def run_to_file(*arguments: str) -> str:
    run(*arguments)
    return Path(arguments[2]).read_text(encoding="utf-8")


def test_a_named_pipe_is_read_like_a_file() -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=(GOOD,))
    writer.start()
    result = run("convert", "pipe", "out.jsonl")
    writer.join()
    assert result.stdout.startswith("pipe to out.jsonl: columns (BIO) to jsonl, 3 entities in 2 sentences")


def test_strict_comparison_takes_schemes_and_passes_notes_on() -> None:
    ten = "".join(f"w{i} O\na B-X\nb I-X\n\n" for i in range(12))
    Path("gold.conll").write_text(ten, encoding="utf-8")
    Path("iob1.conll").write_text(ten.replace("B-X", "I-X"), encoding="utf-8")
    arguments = ("compare", "gold.conll", "--", "iob1.conll", "iob1.conll", "--gold", "gold.conll", "--strict")
    found = run(*arguments, "--resamples", "5", "--json")
    assert json.loads(found.stdout)["rows"][0]["second"]["runs"] == [100.0, 100.0]
    assert "warning: iob1.conll: the predictions are read as IOB1: 24 of the 24 sentences" in found.stderr
    assert found.stderr.count("IOB1") == 1, "one system, one note"
    forced = run(*arguments, "--resamples", "5", "--json", "--pred-scheme", "BIO")
    assert json.loads(forced.stdout)["rows"][0]["second"]["runs"] == [0.0, 0.0]
    assert "IOB1" not in forced.stderr
    loose = run(*arguments[:-1], "--scheme", "BIO")
    assert loose.stderr.startswith("error: --scheme and --pred-scheme are for --strict")


def test_compare_takes_columns() -> None:
    Path("turned.conll").write_text("B-PER Ann B-PER x\nO sings B-X x\n", encoding="utf-8")
    columns = ("--gold-column", "0", "--pred-column", "2")
    found = run("compare", "turned.conll", "--", "turned.conll", "--resamples", "5", "--json", *columns)
    assert json.loads(found.stdout)["rows"][0]["first"]["runs"] == [pytest.approx(200 / 3)]


def test_document_markers_in_the_scores() -> None:
    Path("marked.conll").write_text(
        "-DOCSTART- -X- O O\n\nEU NNP B-X B-X\nsays VBZ O O\nit PRP B-X O\n", encoding="utf-8"
    )
    assert "counts the 1 document marker as tokens: 4 tokens, accuracy 75.00%" in run("score", "marked.conll").stdout


KEYS = "tags tokens words gold_tags text entities token_offsets label id".split()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "O", "B-X", "a", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)
STRINGS = st.lists(st.sampled_from(["O", "B-X", "a"]), max_size=3)
RECORD = st.fixed_dictionaries({}, optional={key: JSON | STRINGS | st.lists(STRINGS, max_size=2) for key in KEYS})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(RECORD | JSON, min_size=1, max_size=3))
def test_json_of_any_shape_makes_no_traceback(lines: list[object]) -> None:
    Path("any.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    for arguments in (["check", "any.jsonl"], ["score", "any.jsonl"], ["score", "train.conll", "any.jsonl"]):
        result = run(*arguments)  # which fails for any exception but an exit
        if result.exit_code == 2:
            assert result.stderr.startswith("error: ")
            assert "any.jsonl" in result.stderr or "tags fit no scheme" in result.stderr
        else:
            assert result.exit_code in (0, 1)
            assert result.stdout


def test_convert_leaves_bad_lines_out_and_names_them() -> None:
    Path("bad.conll").write_text(GOOD + "x\n\ny O\n", encoding="utf-8")
    result = run("convert", "bad.conll", "out.conll", "--skip-bad-lines")
    assert (result.exit_code, result.stdout) == (
        0,
        "bad.conll to out.conll: columns (BIO) to columns (BIO), 3 entities in 3 sentences, 1 bad lines left out\n",
    )
    assert result.stderr == (
        "warning: left out: bad.conll:9: 1 column, expected 2 as in line 1; the line is left out\n"
    )
    assert run("check", "out.conll").exit_code == 0


@pytest.mark.parametrize("command", [["check"], ["score"], ["convert", "--out-format", "jsonl"]])
def test_other_encodings(command: list[str]) -> None:
    Path("a.conll").write_bytes("Zoë B-X B-X\nsang O O\n".encode("cp1252"))
    arguments = [*command, "a.conll", *(["out"] if command[0] == "convert" else [])]
    assert "it looks like cp1252: convert it to utf-8" in run(*arguments).output
    assert run(*arguments, "--encoding", "cp1252").exit_code == 0
    assert run(*arguments, "--encoding", "klingon").stderr.startswith("error: encoding 'klingon': unknown, expected")


def test_check_and_convert_name_the_same_nearest_scheme() -> None:
    for tags in ("I-X O B-Y I-Y O E-Y", "U-X I-X L-X O B-X", "B-X M-X O E-X S-X O O I-X", "Q-X O B-X I-X"):
        rows = "".join(f"w {tag}\n" for tag in tags.split())
        Path("bad.conll").write_text(rows + "\n" + GOOD * 20, encoding="utf-8")
        scheme = json.loads(run("check", "bad.conll", "--json").stdout)["files"][0]["scheme"]
        result = run("convert", "bad.conll", "out.conll")
        assert f"nearest is {scheme}, " in result.stderr
