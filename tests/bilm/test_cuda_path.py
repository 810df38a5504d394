"""The path for CUDA against the reference: here on a CPU, where "recorded" work is simply done again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from elmo_tagger.bilm import encode_sentences, paths
from elmo_tagger.bilm.paths import is_recorded, reference_only
from tests.bilm.random_models import TOLERANCE, WORDS, random_bilm, raw_options

SENTENCES = [WORDS[:5], WORDS[3:], ["Nell"], [], ["a", "b", "a", "b"] * 3]

shapes = st.fixed_dictionaries(
    {
        "dim": st.sampled_from([3, 8]),
        "projection_dim": st.sampled_from([1, 6]),
        "n_layers": st.integers(1, 3),
        "cell_clip": st.sampled_from([None, 0.5, 3]),
        "proj_clip": st.sampled_from([None, 0.5, 3]),
        "use_skip_connections": st.booleans(),
    }
)
batches = st.lists(st.lists(st.sampled_from(WORDS), max_size=20), min_size=1, max_size=20)


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch):
    monkeypatch.setattr(paths, "_RECORDED_ON", {"cpu"})


def ids_of(sentences):
    return torch.from_numpy(encode_sentences(sentences, max_characters=12))


def difference(recorded, reference, ids, **arguments):
    """Largest difference between the path for CUDA and the reference."""
    assert is_recorded(recorded, ids)
    got = recorded(ids, **arguments)
    with reference_only():
        expected = reference(ids, **arguments)
    assert got.layers.keys() == expected.layers.keys()
    assert torch.equal(got.mask, expected.mask)
    found = [(got.layers[layer] - values).abs() for layer, values in expected.layers.items() if values.numel()]
    return max((float(each.max()) for each in found), default=0.0)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(
    shapes,
    st.lists(batches, min_size=1, max_size=3),
    st.sampled_from([None, 1, 7]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, [0], [1], [0, 2]]),
)
def test_any_model_and_history(shape, history, bound, stateful, kept, layers):
    """Of batch after batch, so that nothing is left over from the one before but, if stateful, its state."""
    layers = layers and [layer for layer in layers if layer <= shape["n_layers"]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_RECORDED_ON", {"cpu"})
        recorded, reference = (
            random_bilm(raw_options(**shape), scale=0.3, max_tokens_per_pass=bound, stateful=stateful) for _ in range(2)
        )
        for sentences in history:
            assert difference(recorded, reference, ids_of(sentences), keep_boundaries=kept, layers=layers) <= TOLERANCE
