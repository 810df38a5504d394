"""A column file, word vectors and the two configs that read them: ours and the stock one with the same shape."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parents[1] / "training_configs" / "conll2003.jsonnet"


def write_columns(path: Path, text: Iterator[list[str]], count: int) -> set[str]:
    """Write sentences with the four columns of CoNLL-2003; capitalised words are persons. Returns the words."""
    words = set()
    with path.open("w", encoding="utf-8") as file:
        for sentence in islice(text, count):
            words.update(sentence)
            file.writelines(f"{word} NN O {'I-PER' if word[0].isupper() else 'O'}\n" for word in sentence)
            file.write("\n")
    return words


def write_vectors(path: Path, words: set[str], dim: int = 50) -> None:
    """Write a random vector for each word, lowercased, as GloVe's."""
    draw = random.Random(0)
    lines = (" ".join([word, *(f"{draw.gauss(0, 0.4):.4f}" for _ in range(dim))]) for word in sorted(words))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def our_config(columns: Path, vectors: Path, bilm: Path) -> dict[str, Any]:
    """Our CoNLL-2003 config as it is, with these files in place of the real ones."""
    from allennlp.common import Params

    data = columns.parent
    for name in ("eng.train", "eng.testa", "eng.testb"):
        if not (data / name).exists():
            (data / name).write_bytes(columns.read_bytes())
    files = {
        "CONLL2003": str(data),
        "ELMO_OPTIONS": str(bilm / "options.json"),
        "ELMO_WEIGHTS": str(bilm / "weights.hdf5"),
        "GLOVE": str(vectors),
    }
    config: dict[str, Any] = Params.from_file(str(CONFIG), ext_vars=files).as_dict(quiet=True)
    return config


def stock_config(columns: Path, vectors: Path, bilm: Path, elmo_dim: int) -> dict[str, Any]:
    """AllenNLP's own parts in the same shape, as in its ner_elmo.jsonnet."""
    config = {
        "dataset_reader": {
            "type": "conll2003",
            "tag_label": "ner",
            "coding_scheme": "BIOUL",
            "token_indexers": {
                "elmo": {"type": "elmo_characters"},
                "tokens": {"type": "single_id", "lowercase_tokens": True},
                "token_characters": {"type": "characters", "min_padding_length": 3},
            },
        },
        "train_data_path": str(columns),
        "model": {
            "type": "crf_tagger",
            "label_encoding": "BIOUL",
            "dropout": 0.5,
            "include_start_end_transitions": False,
            "text_field_embedder": {
                "token_embedders": {
                    "elmo": {
                        "type": "elmo_token_embedder",
                        "options_file": str(bilm / "options.json"),
                        "weight_file": str(bilm / "weights.hdf5"),
                        "do_layer_norm": False,
                        "dropout": 0.0,
                    },
                    "tokens": {
                        "type": "embedding",
                        "embedding_dim": 50,
                        "pretrained_file": str(vectors),
                        "trainable": True,
                    },
                    "token_characters": {
                        "type": "character_encoding",
                        "embedding": {"embedding_dim": 16},
                        "encoder": {
                            "type": "cnn",
                            "embedding_dim": 16,
                            "num_filters": 128,
                            "ngram_filter_sizes": [3],
                            "conv_layer_activation": "relu",
                        },
                    },
                }
            },
            "encoder": {
                "type": "lstm",
                "input_size": elmo_dim + 50 + 128,
                "hidden_size": 200,
                "num_layers": 2,
                "dropout": 0.5,
                "bidirectional": True,
            },
        },
        "data_loader": {"batch_size": 64},
    }
    json.dumps(config)
    return config
