"""Archives of AllenNLP 0.5, 0.9, 1.0 and 2.1, in the shapes of two published models, with tiny random weights.

The configs are those of `ner_elmo` and `fine_grained_ner` but for their sizes, and so are the tensors' names: AllenNLP
2.10.1 loads what is written here in its own layout. `python -m tests.tagger.old_archives FOLDER` writes all of them.
"""

import copy
import io
import json
import sys
import tarfile
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from elmo_tagger.tagging.schemes import allowed_transitions
from elmo_tagger.text.columns import read_columns

TEXT = "fixtures/quickstart/dev.conll"
SHAPES = ("ner_elmo", "fine_grained_ner")
LAYOUTS = {
    "0.5": datetime(2018, 4, 26, tzinfo=timezone.utc),
    "0.9": datetime(2018, 12, 18, tzinfo=timezone.utc),
    "1.0": datetime(2020, 6, 24, tzinfo=timezone.utc),
    "2.1": datetime(2021, 2, 12, tzinfo=timezone.utc),
}
"""By version of AllenNLP, when a published archive of that layout was made."""

OPTIONS = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 5,
        "cell_clip": 3,
        "proj_clip": 3,
        "dim": 7,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 3], [2, 4], [3, 5]],
        "n_highway": 2,
        "embedding": {"dim": 4},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}
GLOVE = "https://example.org/glove.6B.50d.txt.gz"
ELMO = "text_field_embedder.token_embedder_elmo._elmo."
WORD, CHARACTER, FILTERS, HIDDEN, DENSE = 6, 5, 8, 9, 11
TYPES = {"ner_elmo": ["PER", "ORG", "LOC", "MISC"], "fine_grained_ner": ["PERSON", "ORG", "GPE", "WORK_OF_ART", "DATE"]}


@lru_cache
def vocabulary(shape: str) -> dict[str, list[str]]:
    """The lines of each file of the vocabulary."""
    words = sorted({word for sentence in read_columns(TEXT) for word in sentence.tokens})
    tags = ["O", *(f"{letter}-{kind}" for kind in TYPES[shape] for letter in "BIUL")]
    return {
        "tokens": ["@@UNKNOWN@@", *dict.fromkeys(word.lower() for word in words)],
        "token_characters": ["@@UNKNOWN@@", *sorted({character for word in words for character in word})],
        "labels": tags,
    }


def config(shape: str) -> dict[str, Any]:
    """The config of today, as in allennlp-models."""
    fine = shape == "fine_grained_ner"
    embedding: dict[str, Any] = {"embedding_dim": CHARACTER}
    encoder: dict[str, Any] = {
        "type": "cnn",
        "embedding_dim": CHARACTER,
        "num_filters": FILTERS,
        "ngram_filter_sizes": [3],
        "conv_layer_activation": "relu",
    }
    context: dict[str, Any] = {"type": "lstm", "num_layers": 2, "dropout": 0.5, "bidirectional": True}
    elmo: dict[str, Any] = {"type": "elmo_token_embedder", "do_layer_norm": False, "dropout": 0.0}
    characters: dict[str, Any] = {"type": "characters", "min_padding_length": 3}
    model: dict[str, Any] = {"type": "crf_tagger", "label_encoding": "BIOUL", "dropout": 0.5}
    if fine:
        embedding |= {"sparse": True, "vocab_namespace": "token_characters"}
        encoder = {"type": "lstm", "input_size": CHARACTER, "hidden_size": FILTERS, "num_layers": 1}
        context = {"type": "stacked_bidirectional_lstm", "num_layers": 2, "recurrent_dropout_probability": 0.5}
        context["use_highway"] = True
        dense = {"input_dim": 2 * HIDDEN, "num_layers": 1, "hidden_dims": DENSE, "activations": "tanh", "dropout": 0.5}
        model |= {"feedforward": dense, "verbose_metrics": True}
        model["initializer"] = {"regexes": [[".*tag_projection_layer.*bias", {"type": "zero"}]]}
        del characters["min_padding_length"]
    else:
        elmo |= {"options_file": "https://example.org/options.json", "weight_file": "https://example.org/weights.hdf5"}
    width = 2 * OPTIONS["lstm"]["projection_dim"] + FILTERS + WORD
    return {
        "dataset_reader": {
            "type": "ontonotes_ner" if fine else "conll2003",
            "coding_scheme": "BIOUL",
            "token_indexers": {
                "tokens": {"type": "single_id", "lowercase_tokens": True},
                "token_characters": characters,
                "elmo": {"type": "elmo_characters"},
            },
        }
        | ({} if fine else {"tag_label": "ner"}),
        "train_data_path": "/data/train",
        "model": model
        | {
            "include_start_end_transitions": False,
            "text_field_embedder": {
                "token_embedders": {
                    "tokens": {
                        "type": "embedding",
                        "embedding_dim": WORD,
                        "pretrained_file": GLOVE,
                        "trainable": True,
                    },
                    "elmo": elmo,
                    "token_characters": {"type": "character_encoding", "embedding": embedding, "encoder": encoder},
                }
            },
            "encoder": context | {"input_size": width, "hidden_size": HIDDEN},
            "regularizer": {"regexes": [["scalar_parameters", {"type": "l2", "alpha": 0.1}]]},
        },
        "data_loader": {"batch_sampler": {"type": "bucket", "batch_size": 64}},
        "trainer": {"optimizer": {"type": "adam", "lr": 0.001}, "num_epochs": 75, "validation_metric": "+accuracy"},
    }


def tensor_shapes(shape: str) -> dict[str, tuple[int, ...]]:
    """The tensors of AllenNLP's state dict, all but the CRF's mask."""
    lstm, cnn = OPTIONS["lstm"], OPTIONS["char_cnn"]
    projection, cell, features = lstm["projection_dim"], lstm["dim"], sum(count for _, count in cnn["filters"])
    words, characters, tags = (len(tokens) for tokens in vocabulary(shape).values())
    # since 1.0 the characters' embedding is by default as large as the words' vocabulary
    rows = (characters if shape == "fine_grained_ner" else words) + 1
    bilm = f"{ELMO}_elmo_lstm._token_embedder."
    shapes: dict[str, tuple[int, ...]] = {
        f"{bilm}_char_embedding_weights": (262, cnn["embedding"]["dim"]),
        f"{bilm}_projection.weight": (projection, features),
        f"{bilm}_projection.bias": (projection,),
        f"{ELMO}scalar_mix_0.gamma": (1,),
        "text_field_embedder.token_embedder_tokens.weight": (words + 1, WORD),
        "text_field_embedder.token_embedder_token_characters._embedding._module.weight": (rows, CHARACTER),
        "crf.transitions": (tags, tags),
        "tag_projection_layer._module.bias": (tags,),
    }
    for number, (size, count) in enumerate(cnn["filters"]):
        shapes[f"{bilm}char_conv_{number}.weight"] = (count, cnn["embedding"]["dim"], size)
        shapes[f"{bilm}char_conv_{number}.bias"] = (count,)
    for number in range(cnn["n_highway"]):
        shapes[f"{bilm}_highways._layers.{number}.weight"] = (2 * features, features)
        shapes[f"{bilm}_highways._layers.{number}.bias"] = (2 * features,)
    for number in range(lstm["n_layers"]):
        for direction in ("forward", "backward"):
            name = f"{ELMO}_elmo_lstm._elmo_lstm.{direction}_layer_{number}."
            shapes[f"{name}input_linearity.weight"] = (4 * cell, projection)
            shapes[f"{name}state_linearity.weight"] = (4 * cell, projection)
            shapes[f"{name}state_linearity.bias"] = (4 * cell,)
            shapes[f"{name}state_projection.weight"] = (projection, cell)
    for number in range(lstm["n_layers"] + 1):
        shapes[f"{ELMO}scalar_mix_0.scalar_parameters.{number}"] = (1,)
    return shapes | (_fine_grained(tags) if shape == "fine_grained_ner" else _ner_elmo(tags))


def _width() -> int:
    return 2 * OPTIONS["lstm"]["projection_dim"] + FILTERS + WORD


def _ner_elmo(tags: int) -> dict[str, tuple[int, ...]]:
    name = "text_field_embedder.token_embedder_token_characters._encoder._module.conv_layer_0."
    shapes: dict[str, tuple[int, ...]] = {f"{name}weight": (FILTERS, CHARACTER, 3), f"{name}bias": (FILTERS,)}
    shapes["tag_projection_layer._module.weight"] = (tags, 2 * HIDDEN)
    for layer, width in enumerate((_width(), 2 * HIDDEN)):
        for suffix in (f"l{layer}", f"l{layer}_reverse"):
            shapes |= _torch_lstm(f"encoder._module.{{}}_{suffix}", width, HIDDEN)
    return shapes


def _fine_grained(tags: int) -> dict[str, tuple[int, ...]]:
    name = "text_field_embedder.token_embedder_token_characters._encoder._module._module.{}_l0"
    shapes = _torch_lstm(name, CHARACTER, FILTERS)
    shapes["_feedforward._linear_layers.0.weight"] = (DENSE, 2 * HIDDEN)
    shapes["_feedforward._linear_layers.0.bias"] = (DENSE,)
    shapes["tag_projection_layer._module.weight"] = (tags, DENSE)
    for layer, width in enumerate((_width(), 2 * HIDDEN)):
        for direction in ("forward", "backward"):
            cell = f"encoder._module.{direction}_layer_{layer}.cell."
            shapes[f"{cell}input_linearity.weight"] = (6 * HIDDEN, width)
            shapes[f"{cell}state_linearity.weight"] = (5 * HIDDEN, HIDDEN)
            shapes[f"{cell}state_linearity.bias"] = (5 * HIDDEN,)
    return shapes


def _torch_lstm(name: str, width: int, hidden: int) -> dict[str, tuple[int, ...]]:
    return {
        name.format("weight_ih"): (4 * hidden, width),
        name.format("weight_hh"): (4 * hidden, hidden),
        name.format("bias_ih"): (4 * hidden,),
        name.format("bias_hh"): (4 * hidden,),
    }


def weights(shape: str) -> dict[str, Tensor]:
    """Random tensors under the names of today, such that tags vary."""
    generator = torch.Generator().manual_seed(11)
    state = {}
    for name, size in tensor_shapes(shape).items():
        # about twice what a training starts from; of larger scores float32 holds fewer digits after the point
        scale = 0.8 if ELMO in name else 0.5
        state[name] = torch.randn(size, generator=generator) * (scale if len(size) > 1 else 0.2)
    state[f"{ELMO}_elmo_lstm._token_embedder._char_embedding_weights"][0] = 0  # of padding
    tags = vocabulary(shape)["labels"]
    state["crf._constraint_mask"] = torch.zeros(len(tags) + 2, len(tags) + 2)
    for before, after in allowed_transitions(tags, "BIOUL"):
        state["crf._constraint_mask"][before, after] = 1.0
    return state


def age(shape: str, layout: str, today: dict[str, Any], state: dict[str, Tensor]) -> None:
    """Rewrites a config and weights of today as an older AllenNLP had them, in place."""
    model, reader = today["model"], today["dataset_reader"]
    if layout >= "1":
        return
    today["iterator"] = today.pop("data_loader")["batch_sampler"]
    for key in ("regularizer", "initializer"):
        if key in model:
            model[key] = model[key]["regexes"]
    for name in list(state):
        state[name.replace(".cell.", ".")] = state.pop(name)
    rows = "text_field_embedder.token_embedder_token_characters._embedding._module.weight"
    state[rows] = state[rows][: len(vocabulary(shape)["token_characters"]) + 1].clone()
    if layout < "0.8":
        model["constraint_type"] = model.pop("label_encoding")
        model["text_field_embedder"] = model["text_field_embedder"]["token_embedders"]
        reader["token_indexers"]["token_characters"].pop("min_padding_length", None)


def changed(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A config with other values at dotted paths, None to leave one out; changed in place."""
    for dotted, value in changes.items():
        *parents, last = dotted.split(".")
        place = raw
        for parent in parents:
            place = place[parent]
        place[last] = value
        if value is None:
            del place[last]
    return raw


def write_archive(
    path: Path,
    shape: str = "ner_elmo",
    layout: str = "2.1",
    *,
    config_changes: dict[str, Any] | None = None,
    weight_changes: dict[str, Tensor | None] | None = None,
    files: dict[str, bytes | None] | None = None,
    time: float | None = None,
) -> Path:
    """Write an archive.

    Args:
        path: Of the `.tar.gz`.
        shape: One of `SHAPES`.
        layout: One of `LAYOUTS`.
        config_changes: Values at dotted paths of the config; None to leave one out.
        weight_changes: Tensors by name, that replace others or come to them; None to leave one out.
        files: Other files, which replace those of the same name; None to leave one out.
        time: Of the files, in seconds after 1970; by default that of `LAYOUTS`.
    """
    raw, state = copy.deepcopy(config(shape)), weights(shape)
    age(shape, layout, raw, state)
    changed(raw, config_changes or {})
    state |= {name: value for name, value in (weight_changes or {}).items() if value is not None}
    for name in (name for name, value in (weight_changes or {}).items() if value is None):
        del state[name]
    buffer = io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=layout >= "2")
    members: dict[str, bytes | None] = {
        "config.json": json.dumps(raw).encode(),
        "weights.th": buffer.getvalue(),
        "vocabulary/non_padded_namespaces.txt": b"*tags\n*labels\n",
    }
    for name, tokens in vocabulary(shape).items():
        members[f"vocabulary/{name}.txt"] = "".join(f"{token}\n" for token in tokens).encode()
    if layout < "1":
        parent = "model.text_field_embedder" + ("" if layout < "0.8" else ".token_embedders")
        members["files_to_archive.json"] = json.dumps({f"{parent}.elmo.options_file": "/elmo/options.json"}).encode()
        members[f"fta/{parent}.elmo.options_file"] = json.dumps(OPTIONS).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in {**members, **(files or {})}.items():
            if content is not None:
                member = tarfile.TarInfo(name)
                member.size, member.mtime = len(content), LAYOUTS[layout].timestamp() if time is None else time
                archive.addfile(member, io.BytesIO(content))
    return path


if __name__ == "__main__":
    for each in SHAPES:
        for version in LAYOUTS:
            print(write_archive(Path(sys.argv[1]) / f"{each}-{version}.tar.gz", each, version))
