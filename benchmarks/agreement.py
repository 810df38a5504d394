"""Whether `elmo_tagger.load` says what `allennlp predict` says: real documents, shipped configs, published shapes.

    PYTHONPATH=. python benchmarks/agreement.py ../shared/data/ner/*/*.conll --documents 1000
    PYTHONPATH=. python benchmarks/agreement.py ../shared/data/ner/*/*.conll --documents 50 --double

Each archive has a config of `training_configs/`, made small, or is of the shape of AllenNLP's `ner_elmo` or
`fine_grained_ner`, and has weights that are drawn so that many tags are unsure. Tags, offsets and n-best lists have to
be equal; of confidences the largest difference is printed. `allennlp predict` has batches of 32; the tagger has its
own, and then each tenth document alone. How far AllenNLP is from itself when it tags those alone tells what float32
leaves open. `--double` does all once more with both sides in float64, which tells what comes of float32's rounding
from what comes of another computation.
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from allennlp.models.archival import load_archive
from allennlp.modules.seq2vec_encoders import cnn_encoder
from allennlp.predictors import Predictor

import elmo_tagger
from elmo_tagger.text.columns import read_columns
from tests.bilm.random_models import random_bilm, raw_options
from tests.tagger.archives import configs, make_archive, shipped

SHIPPED = ("quickstart", "conll2003", "wnut17", "elmo_only", "elmo_and_vectors", "static_baseline", "fine_tuning")
PUBLISHED = ("ner_elmo", "fine_grained_ner")
WIDTHS = {"dim": 32, "projection_dim": 32, "filters": [[1, 32], [3, 64]]}  # whole registers, as a real biLM's


def documents(paths: Iterable[Path], count: int) -> list[dict[str, Any]]:
    """Texts of one to three sentences, drawn from all files."""
    drawn = random.Random(1)
    sentences = [" ".join(each.tokens) for path in paths for each in read_columns(path)]
    return [{"text": " ".join(drawn.sample(sentences, drawn.randint(1, 3))), "id": n} for n in range(count)]


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[float]:
    """Of all probabilities of a document; they are taken out of both.

    Raises:
        ValueError: Another number of entities or taggings.
    """
    pairs = list(zip(ours["entities"], theirs["entities"], strict=True))
    for one, other in zip(ours.get("n_best", []), theirs.get("n_best", []), strict=True):
        pairs += zip(one, other, strict=True)
    for one, other in pairs:
        one.pop("log_probability", None), other.pop("log_probability", None)
        for name in ("confidence", "probability"):
            if name in one:
                yield abs(one.pop(name) - other.pop(name))


def compare(found: Iterable[dict[str, Any]], expected: Iterable[dict[str, Any]]) -> tuple[int, float]:
    """Documents that differ in anything but probabilities, and the largest difference of those of the others."""
    wrong, largest = 0, 0.0
    for ours, theirs in zip(found, expected, strict=True):
        copy = {**theirs, "entities": [dict(each) for each in theirs["entities"]]}
        copy["n_best"] = [[dict(each) for each in sentence] for sentence in theirs["n_best"]]
        try:
            largest = max(largest, *differences(ours, copy), 0.0)
        except ValueError:
            wrong += 1
        else:
            wrong += ours != copy
    return wrong, largest


def agreement(tagger: elmo_tagger.Tagger, predictor: Predictor, inputs: list[dict[str, Any]]) -> str:
    """What a comparison of all documents came to."""
    batches = (inputs[first : first + 32] for first in range(0, len(inputs), 32))
    expected = list(itertools.chain.from_iterable(map(predictor.predict_batch_json, batches)))
    together = compare((document.to_json() for document in tagger.pipe(inputs, top_k=3)), expected)
    alone = compare((tagger(each, top_k=3).to_json() for each in inputs[::10]), expected[::10])
    itself = compare(map(predictor.predict_json, inputs[::10]), expected[::10])
    entities = sum(len(each["entities"]) for each in expected)
    return (
        f"{len(inputs)} documents, {entities} entities; in batches {together[0]} differ, probabilities by at most "
        f"{together[1]:.1e}; alone {alone[0]} of {len(inputs[::10])}, {alone[1]:.1e}; AllenNLP alone, from itself in "
        f"batches: {itself[0]}, {itself[1]:.1e}"
    )


def made(names: Iterable[str], scratch: Path) -> Iterator[tuple[str, Path]]:
    """Archives of random weights."""
    random_bilm(raw_options(max_characters_per_token=50, **WIDTHS), scale=0.2).save(scratch)
    bilm = {"options_file": f"{scratch}/options.json", "weight_file": f"{scratch}/weights.hdf5"}
    for name in names:
        directory = scratch / name
        directory.mkdir()
        config = shipped(name, bilm, directory) if name in SHIPPED else configs(bilm)[name]
        yield name, make_archive(config, directory / "run")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--double", action="store_true", help="compare in float64 too")
    parser.add_argument("--configs", nargs="*", choices=SHIPPED + PUBLISHED, default=SHIPPED + PUBLISHED)
    parser.add_argument("--archives", type=Path, nargs="*", default=[], help="trained ones too")
    arguments = parser.parse_args()
    inputs = documents(arguments.files, arguments.documents)
    with tempfile.TemporaryDirectory() as scratch:
        given = ((str(each), each) for each in arguments.archives)
        for name, archive in itertools.chain(made(arguments.configs, Path(scratch)), given):
            predictor = Predictor.from_archive(load_archive(archive, overrides={"model.top_k": 3}), "entities")
            tagger = elmo_tagger.load(archive)
            print(f"{name}, float32: {agreement(tagger, predictor, inputs)}", flush=True)
            if arguments.double:
                # AllenNLP multiplies float64's lowest number by a bool in float32, which makes it infinite
                cnn_encoder.min_value_of_dtype = lambda dtype: torch.finfo(torch.float32).min
                tagger.model.double()
                predictor._model.double()
                print(f"{name}, float64: {agreement(tagger, predictor, inputs)}", flush=True)


if __name__ == "__main__":
    main()
