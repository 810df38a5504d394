"""Promises of `Tagger` that need no AllenNLP."""

import copy
import itertools
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.tagger import Document, Tagger
from elmo_tagger.text.files import DataError
from tests.tagger.conftest import make_tagger

TEXT = "Emma Stone flew to Oslo. They flew home, and Oslo was far."


def same(left: Document, right: Document) -> None:
    """Equal, confidences to within float32's rounding."""
    ours, theirs = left.to_json(), right.to_json()
    for a, b in zip(ours["entities"], theirs["entities"], strict=True):
        assert a.pop("confidence") == pytest.approx(b.pop("confidence"), abs=2e-6)
    assert ours == theirs


def test_an_entity_is_a_slice_of_the_text_and_of_the_tokens(tagger: Tagger) -> None:
    doc = tagger(TEXT)
    assert doc.entities
    for entity in doc.entities:
        assert doc.text[entity.start : entity.end] == entity.text
        assert entity.text.split()[0] in doc.tokens[entity.token_start]
        assert doc.tags[entity.token_start].endswith(entity.type)
        assert 0 < entity.confidence <= 1
    assert [doc.tokens[first:last][-1] for first, last in doc.sentences] == [".", "."]


def test_to_json_is_what_json_writes_and_reads(tagger: Tagger) -> None:
    doc = tagger({"text": TEXT, "id": 7}, top_k=2)
    assert json.loads(json.dumps(doc.to_json())) == doc.to_json()
    assert list(doc.to_json()) == ["id", "text", "tokens", "tags", "sentences", "entities", "n_best"]


def test_the_kinds_of_input(tagger: Tagger) -> None:
    text = "Emma flew . Oslo ."
    same(tagger(text), tagger({"text": text}))
    same(tagger(text.split()), tagger({"tokens": text.split()}))
    same(tagger(tuple(text.split())), tagger.tag(text.split()))
    same(tagger({"sentence": text}), tagger.tag(text.split()))
    assert tagger(text).sentences == [(0, 3), (3, 5)]
    assert tagger.tag(text.split()).sentences == [(0, 5)]


@pytest.mark.parametrize("nothing", ["", "  \n", [], {"tokens": []}])
def test_an_input_without_tokens_is_a_document_without_tokens(tagger: Tagger, nothing: Any) -> None:
    doc = tagger(nothing, top_k=3)
    assert (doc.tokens, doc.tags, doc.sentences, doc.entities, doc.n_best) == ([], [], [], [], [])


def test_monsters_are_tagged_like_anything_else(tagger: Tagger) -> None:
    for tokens in (["x" * 10_000, "Oslo"], ["a\x00b", "\x1b", "\ud800"], ["Oslo"] * 5_000):
        assert len(tagger.tag(tokens).tags) == len(tokens)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet=st.characters() | st.sampled_from("Oslo Emma.\n\t\u2028\ud800😀e\u0301")))
def test_any_text_is_tagged(tagger: Tagger, text: str) -> None:
    doc = tagger(text)
    assert len(doc.tags) == len(doc.tokens)
    for entity in doc.entities:
        assert text[entity.start : entity.end] == entity.text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, r"^expected a text \(str\) or a list of tokens, received int$"),
        (None, r"^expected a text \(str\) or a list of tokens, received NoneType$"),
        (b"Emma", r"^expected a text \(str\) or a list of tokens, received bytes$"),
        (["Emma", ""], "tokens must be a list of strings that are not empty"),
        (["Emma", 3], "tokens must be a list of strings"),
        ({"txt": "a"}, "none of these keys given"),
        ({"text": "a", "tokens": []}, "text and tokens given"),
        ({"text": 3}, "text is no string"),
        ({"tokens": "a b"}, "tokens must be a list of strings"),
    ],
)
def test_what_is_no_input_is_named(tagger: Tagger, wrong: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        tagger(wrong)


def test_pipe_gives_what_precedes_a_bad_input_first(tagger: Tagger) -> None:
    docs = tagger.pipe(["Oslo", ["Emma"], {"text": 3}, "Oslo"])
    assert [next(docs).text, next(docs).text] == ["Oslo", "Emma"]
    with pytest.raises(DataError, match=r"^input 3: text is no string"):
        next(docs)


def test_pipe_gives_what_precedes_an_error_of_the_stream_first(tagger: Tagger) -> None:
    def stream() -> Iterator[str]:
        yield "Oslo"
        raise OSError("the disk is gone")

    docs = tagger.pipe(stream())
    assert next(docs).text == "Oslo"
    with pytest.raises(OSError, match="the disk is gone"):
        next(docs)


def test_pipe_reads_no_further_ahead_than_a_batch(tagger: Tagger) -> None:
    read = []
    endless = (read.append(number) or f"Oslo {number}" for number in itertools.count())
    docs = tagger.pipe(endless, batch_size=5)
    assert [next(docs).text for _ in range(6)] == [f"Oslo {number}" for number in range(6)]
    assert len(read) == 10


def test_pipe_equals_a_call_for_each(tagger: Tagger) -> None:
    inputs = [TEXT, ["Emma"], "", {"sentence": TEXT, "id": 1}, "Oslo . " * 40]
    for size in (1, 2, 64):
        for doc, given_input in zip(tagger.pipe(inputs, batch_size=size), inputs, strict=True):
            same(doc, tagger(given_input))


def test_threads_get_what_one_thread_gets(tagger: Tagger) -> None:
    texts = [f"Emma {number} flew to Oslo ." for number in range(12)]
    expected = [tagger(text) for text in texts]
    found: dict[int, list[Document]] = {}
    threads = [
        threading.Thread(target=lambda n=number: found.update({n: list(tagger.pipe(texts, batch_size=1 + n))}))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        for left, right in zip(found[number], expected, strict=True):
            same(left, right)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda tagger: pickle.loads(pickle.dumps(tagger))])
def test_a_copy_for_another_process_says_the_same(copied: Callable[[Tagger], Tagger]) -> None:
    tagger = make_tagger()
    expected = tagger(TEXT).to_json()
    assert copied(tagger)(TEXT).to_json() == expected


def test_min_confidence_leaves_out_entities_and_keeps_tags(tagger: Tagger) -> None:
    everything = tagger(TEXT)
    bound = sorted(entity.confidence for entity in everything.entities)[1]
    some = tagger(TEXT, min_confidence=bound)
    assert some.entities == [entity for entity in everything.entities if entity.confidence >= bound]
    assert len(some.entities) < len(everything.entities)
    assert some.tags == everything.tags


def test_the_best_of_the_n_best_are_the_tags(tagger: Tagger) -> None:
    doc = tagger(TEXT, top_k=4)
    for (first, last), taggings in zip(doc.sentences, doc.n_best, strict=True):
        assert taggings[0].tags == doc.tags[first:last]
        probabilities = [tagging.probability for tagging in taggings]
        assert probabilities == sorted(probabilities, reverse=True)
        assert len(taggings) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_confidence": 1.5}, "min_confidence: expected a probability, 0 to 1, received 1.5"),
        ({"top_k": 0}, "top_k: expected 1 or more, received 0"),
        ({"batch_size": 0}, "batch_size: expected 1 or more, received 0"),
    ],
)
def test_an_argument_out_of_range_is_named_at_once(tagger: Tagger, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        tagger.pipe([], **arguments)


def test_labels_and_tags_are_told(tagger: Tagger) -> None:
    assert tagger.labels == ["LOC", "PER"]
    assert tagger.tags[:2] == ["O", "B-PER"]
