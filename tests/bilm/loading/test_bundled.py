"""The biLM of the package."""

import json
from pathlib import Path

import h5py
import pytest
import torch

from elmo_tagger.bilm.loading.bundled import BUNDLED, files_of
from elmo_tagger.bilm.loading.source import WeightsSourceError, load_bilm

STARTER = BUNDLED["starter"]


def test_it_is_small_and_says_what_it_is() -> None:
    files = {path.name: path.stat().st_size for path in STARTER.iterdir()}
    assert set(files) == {"options.json", "weights.hdf5", "README.md", "perplexity.json"}
    assert sum(files.values()) < 20e6
    kinds: set[str] = set()
    with h5py.File(STARTER / "weights.hdf5") as file:
        file.visititems(lambda _, item: kinds.add(str(item.dtype)) if isinstance(item, h5py.Dataset) else None)
    assert kinds == {"float16"}
    card = (STARTER / "README.md").read_text().lower()
    for said in ("perplexity", "licence", "seed", "steps", "allennlp train", "hours", "wikipedia"):
        assert said in card
    perplexity = json.loads((STARTER / "perplexity.json").read_text())
    assert f"{perplexity['perplexity']:.1f} (forward {perplexity['forward_perplexity']:.1f}, backward" in card


def test_its_name_stands_for_its_files() -> None:
    options, weights = str(STARTER / "options.json"), str(STARTER / "weights.hdf5")
    assert files_of("starter") == files_of("starter", "starter") == (options, weights)
    assert files_of("weights.hdf5", "options.json") is None
    message = "starter: a biLM of the package has its own options, expected none or starter, received o.json"
    with pytest.raises(ValueError, match=f"^{message}$"):
        files_of("starter", "o.json")
    message = "starter: a biLM of the package has its own weights, expected starter for them too"
    for weights_file in (None, "weights.hdf5"):
        with pytest.raises(ValueError, match=f"^{message}$"):
            files_of(weights_file, "starter")


def test_it_is_not_mistaken_for_a_file_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_bilm("starter", "starter").output_dim == 256
    (tmp_path / "starter").mkdir()
    message = r"^starter: a biLM of the package, and something here has that name: for that give \./starter$"
    with pytest.raises(WeightsSourceError, match=message):
        load_bilm("starter")
    with pytest.raises(WeightsSourceError, match=r"^\./starter: expected options.json and weights.hdf5 in it"):
        load_bilm("./starter")
    with pytest.raises(WeightsSourceError, match=r"^starter: expected options.json and weights.hdf5 in it"):
        load_bilm(Path("starter"))


def test_it_has_read_english() -> None:
    """A month is nearer to another month than to the same letters elsewhere; random weights know only letters."""
    bilm = load_bilm("starter")

    def vector(sentence: str, word: str) -> torch.Tensor:
        tokens = sentence.split()
        return bilm.embed([tokens]).elmo[0, tokens.index(word)]

    month = vector("The election was held in May 2003 .", "May")
    june, name = vector("It was opened in June 1921 .", "June"), vector("You May leave , she said .", "May")
    like = torch.nn.functional.cosine_similarity
    assert like(month, june, dim=0) > like(month, name, dim=0) + 0.1
