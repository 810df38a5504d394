"""The numbers that the original TensorFlow program computed; skipped where they are not at hand."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from elmo_tagger.bilm import Bilm, encode_sentences, encode_words
from tests.bilm.random_models import TOLERANCE

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
SETS = {"allennlp": "sentences.json", "bilm-tf": "lm_embeddings_sentences.json"}

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason="needs ../shared/reference beside the repository")


def load(name, **arguments):
    bilm = Bilm.load(REFERENCE / name / "options.json", REFERENCE / name / "lm_weights.hdf5", **arguments)
    return bilm.requires_grad_(False)


def streams(name):
    """Three streams of ten sentences and for each sentence its expected top layer (T, 2P)."""
    sentences = [
        [text.split() for text in stream] for stream in json.loads((REFERENCE / name / SETS[name]).read_text())
    ]
    expected = []
    for k in range(3):
        with h5py.File(REFERENCE / name / f"lm_embeddings_{k}.hdf5") as file:
            expected.append([np.concatenate(file[str(i)][...], axis=-1) for i in range(10)])
    return sentences, expected


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("bound", [None, 16])
def test_thirty_sentences_with_carried_state(name, bound):
    bilm = load(name, stateful=True, max_tokens_per_pass=bound)
    sentences, expected = streams(name)
    for i in range(10):
        batch = [stream[i] for stream in sentences]
        top = bilm(torch.from_numpy(encode_sentences(batch)), layers=[2]).layers[2]
        for k, words in enumerate(batch):
            np.testing.assert_allclose(top[k, : len(words)], expected[k][i], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", SETS)
def test_first_sentences_without_state(name):
    bilm = load(name)
    sentences, expected = streams(name)
    batch = [stream[0] for stream in sentences]
    for _ in range(2):  # the second call must not differ from the first
        top = bilm(torch.from_numpy(encode_sentences(batch))).layers[2]
        for k, words in enumerate(batch):
            np.testing.assert_allclose(top[k, : len(words)], expected[k][0], rtol=0, atol=TOLERANCE)


def test_character_cnn():
    words = (REFERENCE / "allennlp" / "vocab_test.txt").read_text(encoding="utf-8").splitlines()
    with h5py.File(REFERENCE / "allennlp" / "elmo_token_embeddings.hdf5") as file:
        expected = file["embedding"][...]
    assert len(words) == len(expected) == 458
    got = load("allennlp").embed_words(torch.from_numpy(encode_words(words)))
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)
