"""Options: what is read, what is refused and how."""

from __future__ import annotations

import copy
import json
import re

import pytest

from elmo_tagger.bilm import Options, OptionsError
from tests.bilm.random_models import raw_options


def changed(path, value):
    raw = copy.deepcopy(raw_options())
    *parents, name = path.split(".")
    part = raw
    for parent in parents:
        part = part[parent]
    if value is KeyError:
        del part[name]
    else:
        part[name] = value
    return raw


def test_every_field_is_read_and_written(tmp_path):
    raw = raw_options(activation="tanh", cell_clip=None, proj_clip=2.5, use_skip_connections=False)
    (tmp_path / "options.json").write_text(json.dumps(raw))
    options = Options.from_file(tmp_path / "options.json")
    assert options.to_dict() == raw
    assert Options.from_dict(options.to_dict()) == options
    assert (options.lstm.dim, options.lstm.projection_dim, options.lstm.n_layers) == (6, 5, 2)
    assert (options.lstm.cell_clip, options.lstm.proj_clip, options.lstm.use_skip_connections) == (None, 2.5, False)
    assert options.char_cnn.filters == ((1, 2), (3, 4), (5, 2))
    assert (options.char_cnn.n_filters, options.char_cnn.embedding_dim, options.char_cnn.n_highway) == (8, 3, 1)
    assert (options.char_cnn.activation, options.char_cnn.max_characters_per_token) == ("tanh", 12)


def test_options_of_a_training_are_read_as_those_of_use():
    raw = raw_options(n_characters=261)
    raw |= {"bidirectional": True, "n_train_tokens": 768648884, "batch_size": 128}
    assert Options.from_dict(raw) == Options.from_dict(raw_options())
    assert Options.from_dict(raw).to_dict()["char_cnn"]["n_characters"] == 262


def test_optional_fields_have_the_original_defaults():
    raw = raw_options()
    for part, name in (("lstm", "cell_clip"), ("lstm", "proj_clip"), ("lstm", "use_skip_connections")):
        del raw[part][name]
    del raw["char_cnn"]["n_highway"]
    options = Options.from_dict(raw)
    assert (options.lstm.cell_clip, options.lstm.proj_clip, options.lstm.use_skip_connections) == (None, None, False)
    assert options.char_cnn.n_highway == 0


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("lstm", KeyError, "o.json: lstm is missing: expected an object"),
        ("char_cnn", [], "o.json: char_cnn: expected an object, received []"),
        ("bidirectional", False, "o.json: bidirectional: expected true, received false: only biLMs are read"),
        ("lstm.dim", KeyError, "o.json: lstm.dim is missing: expected an integer"),
        ("lstm.dim", "64", "o.json: lstm.dim: expected an integer, received '64'"),
        ("lstm.dim", True, "o.json: lstm.dim: expected an integer, received True"),
        ("lstm.dim", 0, "o.json: lstm.dim: expected a positive integer below 2**31, received 0"),
        (
            "lstm.projection_dim",
            -1,
            "o.json: lstm.projection_dim: expected a positive integer below 2**31, received -1",
        ),
        ("lstm.n_layers", 0, "o.json: lstm.n_layers: expected a positive integer below 2**31, received 0"),
        (
            "lstm.cell_clip",
            0,
            "o.json: lstm.cell_clip: expected a positive number of float32, or null for no clipping, received 0",
        ),
        (
            "lstm.proj_clip",
            "3",
            "o.json: lstm.proj_clip: expected a positive number of float32, or null for no clipping, received '3'",
        ),
        (
            "lstm.use_skip_connections",
            1,
            "o.json: lstm.use_skip_connections: expected true or false, received 1",
        ),
        (
            "lstm.use_skip_connection",
            True,
            "o.json: unknown lstm.use_skip_connection: expected only cell_clip, dim, n_layers, proj_clip, "
            "projection_dim, use_skip_connections",
        ),
        ("char_cnn.embedding.size", 4, "o.json: unknown char_cnn.embedding.size: expected only dim"),
        ("char_cnn.embedding.dim", KeyError, "o.json: char_cnn.embedding.dim is missing: expected an integer"),
        ("char_cnn.activation", "gelu", "o.json: char_cnn.activation: expected one of relu, tanh, received 'gelu'"),
        (
            "char_cnn.n_characters",
            260,
            "o.json: char_cnn.n_characters: expected 261 (as written in training) or 262 (as read in use), "
            "received 260",
        ),
        ("char_cnn.n_highway", -1, "o.json: char_cnn.n_highway: expected a number of layers, 0 or more, received -1"),
        (
            "char_cnn.max_characters_per_token",
            2,
            "o.json: char_cnn.max_characters_per_token: expected 3 (a begin mark, one byte, an end mark) to 1000, "
            "received 2",
        ),
        (
            "char_cnn.max_characters_per_token",
            10**9,
            "o.json: char_cnn.max_characters_per_token: expected 3 (a begin mark, one byte, an end mark) to 1000, "
            "received 1000000000",
        ),
        (
            "lstm.dim",
            2**63,
            "o.json: lstm.dim: expected a positive integer below 2**31, received 9223372036854775808",
        ),
        (
            "lstm.cell_clip",
            1e308,
            "o.json: lstm.cell_clip: expected a positive number of float32, or null for no clipping, received 1e+308",
        ),
        ("lstm", "x" * 10**6, f"o.json: lstm: expected an object, received '{'x' * 79}…'"),
        ("char_cnn.filters", [], "o.json: char_cnn.filters: expected at least one [width, number] pair, received []"),
        (
            "char_cnn.filters",
            [[1, 2], [3]],
            "o.json: char_cnn.filters: expected [width, number] pairs of positive integers, received [3]",
        ),
        (
            "char_cnn.filters",
            [[13, 2]],
            "o.json: char_cnn.filters: expected widths of at most max_characters_per_token = 12, received [13, 2]",
        ),
    ],
)
def test_a_wrong_field_is_named(path, value, message):
    with pytest.raises(OptionsError) as caught:
        Options.from_dict(changed(path, value), source="o.json")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "options.json: expected a JSON object: Expecting"),
        ("[1]", "options.json: expected a JSON object, received a list"),
        ('{"lstm":' * 10_000 + "1" + "}" * 10_000, "options.json: expected at most 100 levels"),
        ('{"lstm": {"cell_clip": 1e999}}', "options.json: expected a JSON object: the number 1e999"),
    ],
    ids=["torn", "list", "10,000 levels", "1e999"],
)
def test_a_file_that_is_no_object_is_named(content, message, tmp_path):
    path = tmp_path / "options.json"
    path.write_text(content)
    with pytest.raises(OptionsError, match=re.escape(message)) as caught:
        Options.from_file(path)
    assert "\n" not in str(caught.value)
