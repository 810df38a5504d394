"""Streams and whole sentences beside their plain-Python twins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from elmo_tagger.bilm.characters import encode_words
from elmo_tagger.bilm.training import (
    Corpus,
    Encoder,
    LmBatch,
    SentenceBatches,
    SentenceOptions,
    Spans,
    StreamBatches,
    StreamOptions,
)
from tests.bilm.training.texts import SENTENCES, corpus_of, vocabulary_of
from tests.reference.language_model import steps_of, streams_of

DIRECTIONS = ("forward", "backward")


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    corpus = corpus_of(tmp_path)
    return Encoder(corpus, vocabulary_of(tmp_path), max_characters=50)


def spans(tmp_path: Path) -> Spans:
    return Corpus.open(tmp_path / "prepared").sentences()


def read(batch: LmBatch, vocabulary) -> list[list[tuple[str, str]]]:
    """For each direction the batch's pairs of word read and word to predict, step by step."""
    by_characters = {row.tobytes(): word for word, row in zip(ALL, encode_words(ALL), strict=True)}
    words = [by_characters[row.numpy().tobytes()] for row in batch.character_ids]
    return [
        [(words[row], vocabulary.words[target]) for row, target in zip(rows.tolist(), targets.tolist(), strict=True)]
        for rows, targets in zip(batch.rows, batch.targets, strict=True)
    ]


ALL = ["<S>", "</S>", *dict.fromkeys(" ".join(SENTENCES).split())]


@pytest.mark.parametrize(("streams", "steps"), [(1, 1), (3, 4), (2, 100), (5, 3)])
def test_streams_are_the_text_cut_into_equal_parts(encoder: Encoder, tmp_path: Path, streams: int, steps: int) -> None:
    vocabulary = vocabulary_of(tmp_path)
    options = StreamOptions(streams=streams, steps=steps, shuffle=False)
    batches = StreamBatches(encoder, spans(tmp_path), options)
    received: dict[str, list[list]] = {direction: [[] for _ in range(streams)] for direction in DIRECTIONS}
    for number in range(batches.count(0)):
        batch = batches.batch(0, number)
        assert batch.carried
        assert set(batch.sizes) == {streams}
        assert len(batch.sizes) <= steps
        for direction, pairs in zip(DIRECTIONS, read(batch, vocabulary), strict=True):
            for stream in range(streams):
                received[direction][stream] += pairs[stream::streams]
    sentences = [sentence.split() for sentence in SENTENCES]
    for direction in DIRECTIONS:
        assert received[direction] == streams_of(sentences, direction, streams)
    assert batches.words == streams * len(received["forward"][0])


def all_pairs(batches: StreamBatches, epoch: int, vocabulary) -> list[list]:
    found: list[list] = [[], []]
    for number in range(batches.count(epoch)):
        for own, pairs in zip(found, read(batches.batch(epoch, number), vocabulary), strict=True):
            own += pairs
    return found


def test_shuffled_epochs_hold_the_same_steps_in_other_orders(encoder: Encoder, tmp_path: Path) -> None:
    vocabulary = vocabulary_of(tmp_path)
    batches = StreamBatches(encoder, spans(tmp_path), StreamOptions(streams=1, steps=7, seed=3))
    first, second = (all_pairs(batches, epoch, vocabulary) for epoch in (0, 1))
    for number, direction in enumerate(DIRECTIONS):
        every = sorted(step for sentence in SENTENCES for step in steps_of(sentence.split(), direction))
        assert sorted(first[number]) == sorted(second[number]) == every
        assert first[number] != second[number]
    # the directions read their sentences in different orders
    assert [w for w, _ in first[0] if w not in ("<S>", "</S>")][:9] != [
        w for w, _ in first[1] if w not in ("<S>", "</S>")
    ][:9]
    again = StreamBatches(encoder, spans(tmp_path), StreamOptions(streams=1, steps=7, seed=3))
    assert read(again.batch(1, 2), vocabulary) == read(batches.batch(1, 2), vocabulary)


def test_processes_share_the_streams(encoder: Encoder, tmp_path: Path) -> None:
    vocabulary = vocabulary_of(tmp_path)
    together = StreamBatches(encoder, spans(tmp_path), StreamOptions(streams=4, steps=3))
    apart = [
        StreamBatches(encoder, spans(tmp_path), StreamOptions(streams=2, steps=3, process=process, processes=2))
        for process in (0, 1)
    ]
    for number in range(together.count(0)):
        whole = read(together.batch(0, number), vocabulary)
        halves = [read(each.batch(0, number), vocabulary) for each in apart]
        for direction in (0, 1):
            rows = [np.array(half[direction]).reshape(-1, 2, 2) for half in halves]
            assert np.concatenate(rows, axis=1).reshape(-1, 2).tolist() == [list(p) for p in whole[direction]]


def sentence_pairs(batch: LmBatch, vocabulary) -> list[list]:
    """For each direction the sentences of a batch as lists of pairs."""
    found = []
    for pairs in read(batch, vocabulary):
        streams: list[list] = [[] for _ in range(batch.sizes[0] if batch.sizes else 0)]
        place = 0
        for size in batch.sizes:
            for stream in range(size):
                streams[stream].append(pairs[place + stream])
            place += size
        found.append(streams)
    return found


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("processes", [1, 3])
def test_whole_sentences_come_once_each_to_both_directions(
    encoder: Encoder, tmp_path: Path, processes: int, shuffle: bool
) -> None:
    vocabulary = vocabulary_of(tmp_path)
    received: list[list] = [[], []]
    counts = set()
    for process in range(processes):
        options = SentenceOptions(words=13, shuffle=shuffle, process=process, processes=processes)
        batches = SentenceBatches(encoder, spans(tmp_path), options)
        counts.add(batches.count(0))
        for number in range(batches.count(0)):
            batch = batches.batch(0, number)
            assert not batch.carried
            assert batch.words <= 13 or len(batch.sizes) == batch.words
            assert batch.sizes == sorted(batch.sizes, reverse=True)
            for own, streams in zip(received, sentence_pairs(batch, vocabulary), strict=True):
                own += streams
    assert len(counts) == 1
    for own, direction in zip(received, DIRECTIONS, strict=True):
        expected = [steps_of(sentence.split(), direction) for sentence in SENTENCES]
        if shuffle and processes == 3:  # to train, what not all processes have is left out
            assert all(sentence in expected for sentence in own)
            assert len(own) < len(expected)
        else:
            assert sorted(own) == sorted(expected)


def test_long_sentences_are_cut_to_train(encoder: Encoder, tmp_path: Path) -> None:
    vocabulary = vocabulary_of(tmp_path)
    batches = SentenceBatches(encoder, spans(tmp_path), SentenceOptions(words=1000, longest=5))
    forward, _ = sentence_pairs(batches.batch(0, 0), vocabulary)
    pieces = [words[i : i + 5] for words in map(str.split, SENTENCES) for i in range(0, len(words), 5)]
    assert sorted(forward) == sorted(steps_of(piece, "forward") for piece in pieces)


def test_words_that_are_not_in_the_vocabulary_are_read_but_predicted_as_unknown(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, ["zebra cat cat"])
    vocabulary = vocabulary_of(tmp_path, size=4)
    batch = StreamBatches(
        Encoder(corpus, vocabulary, max_characters=50), corpus.sentences(), StreamOptions(streams=1)
    ).batch(0, 0)
    assert vocabulary.words[3] == "cat"
    assert batch.targets.tolist() == [[2, 3, 3, 1], [3, 3, 2, 0]]
    assert len(batch.character_ids) == 4


def test_impossible_batch_options_are_refused(encoder: Encoder, tmp_path: Path) -> None:
    every = spans(tmp_path)
    steps = sum(len(sentence.split()) + 1 for sentence in SENTENCES)
    with pytest.raises(
        ValueError, match=f"^expected text for 100 streams, received {steps} words and ends of sentences: use"
    ):
        StreamBatches(encoder, every, StreamOptions(streams=50, processes=2))
    with pytest.raises(ValueError, match=r"^expected sentences, received none: is everything held out, or nothing\?$"):
        SentenceBatches(encoder, Spans(every.starts[:0], every.lengths[:0]), SentenceOptions())
    with pytest.raises(ValueError, match=r"^steps: expected a positive number, received 0$"):
        StreamOptions(steps=0)
    with pytest.raises(ValueError, match=r"^longest: expected a positive number, received -1$"):
        SentenceOptions(longest=-1)
