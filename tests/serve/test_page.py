"""The page in a real browser: Chromium, without a window."""

import csv
import io
import json
import shutil
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elmo_tagger.tagger import Tagger
from tests.serve.conftest import TEXT, Client, serving

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
SCRIPT = '<img src="x" onerror="document.title=\'run\'"><script>document.title="run"</script> Emma 👩‍👩‍👧 flew to Oslo.'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, client: Client) -> Iterator[Any]:
    """The page, watched: it asks no other host, breaks no rule of its policy and raises no error."""
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    seen: dict[str, list[str]] = {"hosts": [], "console": []}
    page.on("request", lambda request: seen["hosts"].append(urllib.parse.urlsplit(request.url).netloc))
    page.on("console", lambda message: seen["console"].append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen["console"].append(str(error)))
    page.goto(f"http://127.0.0.1:{client.port}/")
    yield page
    assert set(seen["hosts"]) - {""} == {f"127.0.0.1:{client.port}"}
    assert seen["console"] == []
    context.close()


def marks(page: Any) -> list[str]:
    """What is marked, without its label."""
    found: list[str] = page.eval_on_selector_all("#marked mark", "all => all.map(each => each.firstChild.data)")
    return found


def typed(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#marked .sentence")


def downloaded(page: Any, kind: str) -> str:
    with page.expect_download() as waiting:
        page.click(f"[data-as={kind}]")
    return Path(waiting.value.path()).read_text()


def test_entities_are_seen_with_their_confidence(page: Any, served_tagger: Tagger) -> None:
    page.focus("#text")
    page.keyboard.type(TEXT.replace("\n", " "), delay=0)
    page.wait_for_selector("#marked mark")  # without a button
    entities = served_tagger(TEXT.replace("\n", " ")).entities
    assert marks(page) == [each.text for each in entities]
    labels = page.eval_on_selector_all("#marked mark small", "all => all.map(each => each.textContent)")
    assert labels == [f"{each.type} {int(each.confidence * 100)} %" for each in entities]
    assert page.text_content("#model").startswith("tiny: ")


def test_the_slider_hides_what_is_less_sure(page: Any, served_tagger: Tagger) -> None:
    typed(page, TEXT)
    page.focus("#threshold")
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    entities = served_tagger(TEXT).entities
    sure = [each for each in entities if each.confidence >= 0.6]
    assert 0 < len(sure) < len(entities)
    assert marks(page) == [each.text for each in sure]
    assert page.text_content("#count") == f"{len(sure)} of {len(entities)} entities"
    assert json.loads(downloaded(page, "json")) == json.loads(
        json.dumps(served_tagger(TEXT, min_confidence=0.6).to_json())
    )
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "csv"))))
    assert [(row["type"], row["text"], int(row["start"])) for row in rows] == [(e.type, e.text, e.start) for e in sure]
    lines = downloaded(page, "columns").split("\n")
    document = served_tagger(TEXT)
    assert [line.split(" ")[0] for line in lines if line] == document.tokens
    assert lines.count("") == len(document.sentences)
    tagged = {place for each in sure for place in range(each.token_start, each.token_end)}
    tags = [line.split(" ")[1] for line in lines if line]
    assert tags == [tag if place in tagged else "O" for place, tag in enumerate(document.tags)]


def test_a_sentence_shows_its_most_probable_readings(page: Any, served_tagger: Tagger) -> None:
    typed(page, TEXT)
    page.click("#marked .sentence >> nth=0")
    page.wait_for_selector(".readings")
    first, last = served_tagger(TEXT).sentences[0]
    (expected,) = served_tagger.tag(served_tagger(TEXT).tokens[first:last], top_k=5).n_best
    shown = page.eval_on_selector_all(".reading b", "all => all.map(each => each.textContent)")
    assert shown == [f"{100 * each.probability:.2f} %" for each in expected]
    page.focus("#marked .sentence >> nth=1")
    page.keyboard.press("Enter")  # by keyboard too
    page.wait_for_selector(".readings >> nth=1")
    page.keyboard.press("Enter")
    assert page.locator(".readings").count() == 1


def test_a_script_in_a_text_stays_text(page: Any, served_tagger: Tagger) -> None:
    typed(page, SCRIPT)
    assert page.eval_on_selector("#marked", "each => each.querySelectorAll('img, script').length") == 0
    assert page.title() == "Entities"
    plain = page.evaluate(
        "() => { const copy = document.getElementById('marked').cloneNode(true);"
        " copy.querySelectorAll('small').forEach(each => each.remove()); return copy.textContent; }"
    )
    assert plain == SCRIPT
    assert marks(page) == [each.text for each in served_tagger(SCRIPT).entities]


def test_a_file_is_opened(page: Any, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text(TEXT)
    page.set_input_files("#file", tmp_path / "letter.txt")
    page.wait_for_selector("#marked .sentence")
    with page.expect_download() as waiting:
        page.click("[data-as=csv]")
    assert waiting.value.suggested_filename == "letter.csv"
    data = page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['Lillehammer.'], 'b.txt')); return data; }"
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": data})
    page.wait_for_selector("#marked:has-text('Lillehammer')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_scrolling_sideways(scheme: str, browser: Any, client: Client) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{client.port}/")
    typed(page, f"{TEXT} {'Emma' * 60}")
    page.click("#marked .sentence >> nth=0")
    page.wait_for_selector(".readings")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(244, 245, 247)"
    assert light == (scheme == "light")
    context.close()


def test_a_refusal_is_shown_and_a_key_asked_for(browser: Any, served_tagger: Tagger) -> None:
    with serving(served_tagger, api_key="secret", max_tokens=3) as client:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{client.port}/")
        page.fill("#text", "Emma Oslo")
        page.click("#tag")
        page.wait_for_selector("#key-row", state="visible")
        page.fill("#key", "secret")
        page.keyboard.press("Tab")
        page.wait_for_selector("#marked .sentence")
        page.fill("#text", TEXT)
        page.click("#tag")
        page.wait_for_selector("#error", state="visible")
        assert "expected at most 3 tokens" in page.text_content("#error")
        page.close()


def test_the_documentation_shows_every_route(page: Any, client: Client) -> None:
    page.goto(f"http://127.0.0.1:{client.port}/docs")
    page.wait_for_selector("section")
    shown = page.eval_on_selector_all("h2", "all => all.map(each => each.textContent)")
    paths = client.get("/openapi.json").json["paths"]
    assert sorted(shown) == sorted(f"{method.upper()} {path}" for path, methods in paths.items() for method in methods)
    assert {"POST /predict", "POST /predict_batch", "POST /", "GET /metrics"} <= set(shown)
