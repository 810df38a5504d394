"""`elmo-tagger calibrate`; what a temperature does is tested in tests/tagging and tests/plugin."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import elmo_tagger
from elmo_tagger.cli.app import app
from elmo_tagger.tagger import Tagger
from elmo_tagger.tagging.temperature import TemperatureError
from elmo_tagger.text import read_columns
from tests.tagger.conftest import make_tagger

DEV = "Emma B-PER\nflew O\n\nOslo U-LOC\nwas O\nfar O\n\nEmma B-PER\nOslo L-PER\n. O\n".replace(
    "B-PER\nflew", "U-PER\nflew"
)
TEXT = "Emma flew to Oslo. Oslo was far from Emma."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tagger"
    make_tagger().save(folder)
    return folder


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, "mine")
    Path("dev.conll").write_text(DEV, encoding="utf-8")


def run(*arguments: str):
    result = CliRunner().invoke(app, ["calibrate", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def confidences(tagger: Tagger) -> list[float]:
    return [entity.confidence for entity in tagger(TEXT).entities]


def test_a_folder_is_calibrated_beside_it_and_tags_as_before() -> None:
    result = run("mine", "dev.conll")
    assert result.exit_code == 0, result.output
    before, after = elmo_tagger.load("mine"), elmo_tagger.load("mine-calibrated")
    temperature = float(after.model.crf.temperature)
    assert float(before.model.crf.temperature) == 1.0 != temperature
    assert f"temperature {temperature:.4f}, found by 3 sentences" in result.stdout
    assert "predicted entities: " in result.stdout
    assert result.stdout.splitlines()[-1] == "written: mine-calibrated"
    assert after(TEXT).tags == before(TEXT).tags
    assert confidences(after) != confidences(before)
    # a calibrated model is calibrated again as if it were not
    again = run("mine-calibrated", "dev.conll", "-o", "again", "--json")
    assert json.loads(again.stdout)["temperature"] == pytest.approx(temperature, rel=1e-6)
    for folder in ("mine-calibrated", "again"):  # and the card says by what, once
        card = Path(folder, "README.md").read_text()
        assert re.findall("Confidences calibrated on .*?[.] ", card) == [
            f"Confidences calibrated on 3 sentences: temperature {temperature:.4f}. "
        ]


def test_the_same_in_python() -> None:
    tagger = elmo_tagger.load("mine")
    found = tagger.calibrate(read_columns("dev.conll"))
    run("mine", "dev.conll")
    assert confidences(tagger) == confidences(elmo_tagger.load("mine-calibrated"))
    assert found.fit.after < found.fit.before
    tagger.save("saved")
    assert confidences(elmo_tagger.load("saved")) == confidences(tagger)
    with pytest.raises(TemperatureError, match="received none"):
        tagger.calibrate([])
    assert float(tagger.model.crf.temperature) == pytest.approx(found.fit.temperature)


def test_nothing_is_written_over() -> None:
    assert run("mine", "dev.conll").exit_code == 0
    for arguments, message in (
        (("mine", "dev.conll"), "mine-calibrated/config.json"),
        (("mine", "dev.conll", "-o", "mine", "--force"), "mine/config.json"),
        (("mine", "dev.conll", "-o", "dev.conll", "--force"), "dev.conll"),
        (("mine", "dev.conll", "-o", "mine.tar.gz"), "expected an archive, of which another is made"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert message in result.stderr
    assert run("mine", "dev.conll", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("dev", "message"),
    [
        ("Emma ?\nflew ?\n", "no label of the 1 sentences says anything"),
        ("", "dev.conll"),
        ("Emma flew\nto Oslo\n", "found no tags"),
        ("Emma U-DATE\nflew O\n", "all 1 have tags that the model does not know (U-DATE), expected some of "),
        ("Emma O\nflew I-PER|L-PER\n", "dev.conll:2"),
    ],
)
def test_a_file_that_says_nothing_is_an_error_and_writes_nothing(dev: str, message: str) -> None:
    Path("dev.conll").write_text(dev, encoding="utf-8")
    result = run("mine", "dev.conll")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("mine-calibrated").exists()


def test_unknown_labels_count_for_nothing_and_unknown_tags_leave_a_sentence_out() -> None:
    Path("more.conll").write_text(DEV + "\nEmma ?\nfar ?\n\nfar U-DATE\n\nfar U-LOC|U-DATE\n", encoding="utf-8")
    result = run("mine", "more.conll", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["sentences"], report["left_out"], report["unknown_tags"]) == (5, 1, ["U-DATE"])
    assert "left out: 1 sentences with tags that the model does not know (U-DATE)" in result.stderr
    Path("same.conll").write_text(DEV + "\nEmma ?\nfar ?\n\nfar U-LOC\n", encoding="utf-8")
    same = json.loads(run("mine", "same.conll", "-o", "same", "--json").stdout)
    assert same["temperature"] == pytest.approx(report["temperature"], rel=1e-6)
