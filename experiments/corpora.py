"""Real corpora, each as a directory with train.conll, dev.conll and test.conll."""

import shutil
from pathlib import Path

from elmo_tagger.text import read_columns, write_columns

DOMAINS = ("politics", "science", "music", "literature", "ai")  # of CrossNER
PARTS = ("train", "dev", "test")
SPLIT = (0.8, 0.9)  # wikigold has none: train, dev and test by sentence order


def wnut17(shared: Path) -> Path:
    """WNUT-17, as it lies in `shared`."""
    return shared / "data" / "ner" / "wnut17"


def wikigold(shared: Path, directory: Path) -> Path:
    """wikigold, split 80/10/10."""
    sentences = list(read_columns(shared / "data" / "ner" / "wikigold" / "wikigold.conll.txt"))
    bounds = [0, *(int(share * len(sentences)) for share in SPLIT), len(sentences)]
    found = directory / "wikigold"
    found.mkdir(parents=True, exist_ok=True)
    for part, low, high in zip(PARTS, bounds, bounds[1:], strict=False):
        write_columns(sentences[low:high], found / f"{part}.conll")
    return found


def crossner(domain: str, shared: Path, directory: Path) -> Path:
    """A domain of CrossNER."""
    found = directory / f"crossner-{domain}"
    found.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        shutil.copyfile(shared / "data" / "ner" / "crossner" / domain / f"{part}.txt", found / f"{part}.conll")
    return found
