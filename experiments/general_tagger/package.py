"""Make the package's `en` of a trained archive: without the weights of its biLM, the starter, and in half the bytes.

    python experiments/general_tagger/package.py runs/general_tagger/model.tar.gz elmo_tagger/tagger/en

writes `config.json`, `model.safetensors`, and in `training.json` which starter it belongs to. The card, `README.md`, is
written by hand from what `evaluate.py` prints.
"""

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import torch

import elmo_tagger
from elmo_tagger.bilm import load_bilm
from elmo_tagger.bilm.loading.bundled import BUNDLED
from elmo_tagger.tagger import Card, Tagger
from elmo_tagger.tagger.folder import CONFIG_NAME, WEIGHTS_NAME, Parts, write_folder
from elmo_tagger.tagger.vocabulary import Namespace

BILM = "starter"
EMBEDDER = "elmo"
PREFIX = f"text_field_embedder.token_embedder_{EMBEDDER}.bilm."
WORDS = "static_words"
STATIC = f"text_field_embedder.token_embedder_{EMBEDDER}.static.weight"
CARD = Card(
    data=("DocRED", "wikigold", "CrossNER", "WNUT-17", "Broad Twitter Corpus", "Tweebank-NER", "MultiNER government"),
    license="apache-2.0",
)


def parts_of(tagger: Tagger) -> Parts:
    """What the folder holds.

    Raises:
        SystemExit: The tagger's biLM is not the starter.
    """
    weights = tagger.model.state_dict()
    for name, expected in load_bilm(BILM).state_dict().items():
        if not torch.equal(weights.pop(PREFIX + name), expected):
            raise SystemExit(f"{name}: expected the {BILM}'s weights; train with weight_file '{BILM}', not fine-tuned")
    # the CRF's numbers are few, and add up over a sentence
    halves = {name: value if name.startswith("crf.") else value.half() for name, value in weights.items()}
    config = tagger.config.to_dict()
    embedder = config["model"]["text_field_embedder"]["token_embedders"][EMBEDDER]
    del embedder["options"]
    embedder["bundled"] = BILM
    words, vectors = tagger.vocabulary[WORDS], halves[STATIC]
    # training's words that the vectors lack have the vector of an unknown one: they may as well be unknown
    known = [number for number in range(len(words)) if number < 2 or not torch.equal(vectors[number], vectors[1])]
    halves[STATIC] = vectors[known]
    vocabulary = {**tagger.vocabulary, WORDS: Namespace([words.tokens[number] for number in known])}
    return Parts(type(tagger.config).from_dict(config), vocabulary, halves, CARD)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        write_folder(Path(temporary) / "en", parts_of(elmo_tagger.load(arguments.archive)))
        arguments.folder.mkdir(exist_ok=True)
        for name in (CONFIG_NAME, WEIGHTS_NAME):
            shutil.copy(Path(temporary) / "en" / name, arguments.folder / name)
    digest = hashlib.sha256((BUNDLED[BILM] / "weights.hdf5").read_bytes()).hexdigest()
    (arguments.folder / "training.json").write_text(json.dumps({BILM: digest}) + "\n")


if __name__ == "__main__":
    main()
