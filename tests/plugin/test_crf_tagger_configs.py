"""Configs written for AllenNLP's `crf_tagger` train when the model's type is exchanged, whatever the reader adds."""

from pathlib import Path
from typing import Any

import allennlp_models.tagging  # noqa: F401  (registers the reader)
import pytest
from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor

import elmo_tagger.plugin  # noqa: F401  (registers everything)

CHUNKS = """\
Confidence NN B-NP
in IN B-PP
the DT B-NP
pound NN I-NP
fell VBD B-VP
. . O

The DT B-NP
fund NN I-NP
was VBD B-VP
sold VBN I-VP
. . O

"""


def chunking(data: Path, **model: object) -> dict[str, Any]:
    """Shallow parsing with word vectors and a character CNN; parts of speech come along as a field of their own."""
    return {
        "dataset_reader": {
            "type": "conll2000",
            "tag_label": "chunk",
            "feature_labels": ["pos"],
            "convert_to_coding_scheme": "BIOUL",
            "token_indexers": {
                "tokens": {"type": "single_id", "lowercase_tokens": True},
                "token_characters": {"type": "characters", "min_padding_length": 3},
            },
        },
        "train_data_path": str(data),
        "validation_data_path": str(data),
        "model": {
            "type": "elmo_bilstm_crf",
            "label_encoding": "BIOUL",
            "constrain_crf_decoding": True,
            "calculate_span_f1": True,
            "dropout": 0.5,
            "include_start_end_transitions": False,
            "text_field_embedder": {
                "token_embedders": {
                    "tokens": {"type": "embedding", "embedding_dim": 8},
                    "token_characters": {
                        "type": "character_encoding",
                        "embedding": {"embedding_dim": 4, "vocab_namespace": "token_characters"},
                        "encoder": {"type": "cnn", "embedding_dim": 4, "num_filters": 8, "ngram_filter_sizes": [3]},
                    },
                }
            },
            "encoder": {
                "type": "lstm",
                "input_size": 16,
                "hidden_size": 8,
                "num_layers": 2,
                "dropout": 0.5,
                "bidirectional": True,
            },
            "regularizer": {"regexes": [["transitions$", {"type": "l2", "alpha": 0.01}]]},
            **model,
        },
        "data_loader": {"batch_size": 2},
        "trainer": {
            "optimizer": {"type": "adam", "lr": 0.01},
            "num_epochs": 2,
            "patience": 3,
            "grad_norm": 5.0,
            "validation_metric": "+f1-measure-overall",
        },
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "chunks.txt"
    path.write_text(CHUNKS)
    return path


def test_chunking_with_parts_of_speech_beside_the_tokens(data: Path, tmp_path: Path) -> None:
    model = train_model(Params(chunking(data)), str(tmp_path / "run"))
    assert {"accuracy", "accuracy3", "precision-overall", "f1-measure-overall"} <= set(model.eval().get_metrics())
    predictor = Predictor.from_archive(load_archive(tmp_path / "run" / "model.tar.gz"))
    outputs = predictor.predict_batch_instance(list(predictor._dataset_reader.read(str(data))))
    assert [output["text"] for output in outputs] == ["Confidence in the pound fell .", "The fund was sold ."]


def test_tags_without_a_scheme_are_selected_by_accuracy(data: Path, tmp_path: Path) -> None:
    plain = {"label_encoding": None, "constrain_crf_decoding": None, "calculate_span_f1": None}
    config = chunking(data, verbose_metrics=True, **plain)
    config["dataset_reader"] |= {"tag_label": "pos", "feature_labels": ["chunk"], "convert_to_coding_scheme": None}
    config["trainer"]["validation_metric"] = "+accuracy"
    model = train_model(Params(config), str(tmp_path / "run"))
    assert {"accuracy", "accuracy3", "NN-precision", "VBD-recall", ".-fscore"} <= set(
        model.eval().get_metrics(reset=True)
    )
