"""The reference of config types: every registered name has an entry, and its example is built."""

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from allennlp.common import Params, Registrable
from allennlp.data import Vocabulary
from allennlp.data.dataset_readers import DatasetReader
from allennlp.models import Model
from allennlp.modules.token_embedders import TokenEmbedder

import elmo_tagger.plugin  # noqa: F401  (registers everything)
from elmo_tagger.plugin.lm_vocabulary import NAMESPACE
from elmo_tagger.plugin.model import ElmoBilstmCrf
from tests.pages import DOCS, blocks_of

PAGE = DOCS / "reference" / "config.md"
GIVEN = {"self", "args", "kwargs", "reader", "data_path", "serialization_dir"}
"""By AllenNLP, and not by a config."""
REGISTERED = sorted(
    (base.__name__, name, f"{cls.__module__}.{cls.__name__}")
    for base, names in Registrable._registry.items()
    for name, (cls, _) in names.items()
    if cls.__module__.startswith("elmo_tagger.")
)


@pytest.mark.parametrize(("base", "name", "cls"), REGISTERED, ids=lambda value: value)
def test_a_registered_name_has_an_entry(base: str, name: str, cls: str) -> None:
    text = PAGE.read_text()
    assert f"\n### `{name}`" in text, f"{base} {name!r} has no heading"
    assert f"\n::: {cls}\n" in text, f"{base} {name!r}: its class is not shown"
    examples = [json.loads(block.text).get("type") for block in blocks_of(PAGE) if block.language == "json"]
    assert name in examples, f"{base} {name!r} has no example"


def test_arguments_of_registered_types_are_described() -> None:
    page = PAGE.read_text()
    for cls, constructor in (each for names in Registrable._registry.values() for each in names.values()):
        if not cls.__module__.startswith("elmo_tagger."):
            continue
        build = getattr(cls, constructor or "__init__")
        for argument in set(inspect.signature(build).parameters) - GIVEN:
            described = f"        {argument}: " in f"{cls.__doc__}{build.__doc__}" or f"| `{argument}` |" in page
            assert described, f"{cls}: {argument} is not described"


def _vocabulary() -> Vocabulary:
    vocabulary = Vocabulary(non_padded_namespaces=[NAMESPACE, "labels"])
    for tag in ("O", "B-PER", "I-PER", "L-PER", "U-PER"):
        vocabulary.add_token_to_namespace(tag, "labels")
    vocabulary.add_tokens_to_namespace(["<S>", "</S>", "<UNK>", *(f"w{number}" for number in range(9000))], NAMESPACE)
    return vocabulary


def _given(base: str, tmp_path: Path) -> dict[str, Any]:
    """What AllenNLP gives to a type beside its config."""
    vocabulary = _vocabulary()
    if base in ("TokenEmbedder", "Model"):
        return {"vocab": vocabulary}
    if base == "Metric":
        return {"vocabulary": vocabulary}
    if base == "Predictor":
        model = Model.from_params(Params(_example("elmo_bilstm_crf")), vocab=vocabulary)
        assert isinstance(model, ElmoBilstmCrf)
        return {"model": model, "dataset_reader": DatasetReader.by_name("conll_columns")()}
    if base == "DataLoader":
        text = tmp_path / "text.txt"
        text.write_text("a b c\n" * 2000)
        return {
            "reader": DatasetReader.by_name("lm_text")(prepared_dir=str(tmp_path / "prepared")),
            "data_path": str(text),
        }
    if base == "TrainerCallback":
        return {"serialization_dir": str(tmp_path)}
    if base == "LearningRateScheduler":
        import torch

        return {"optimizer": torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)}
    return {}


def _example(name: str) -> dict[str, Any]:
    found = [json.loads(block.text) for block in blocks_of(PAGE) if block.language == "json"]
    return next(example for example in found if example.get("type") == name)


@pytest.mark.parametrize(("base", "name", "cls"), REGISTERED, ids=lambda value: value)
def test_an_example_is_built(base: str, name: str, cls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("vocab.txt").write_text("<S>\n</S>\n<UNK>\nEmma\n")
    examples = [json.loads(block.text) for block in blocks_of(PAGE) if block.language == "json"]
    examples = [example for example in examples if example.get("type") == name]
    if base in ("TokenIndexer", "TokenEmbedder"):  # of one name
        examples = [example for example in examples if ("weight_file" in example) == (base == "TokenEmbedder")]
    (example,) = examples
    registrable = next(each for each in Registrable._registry if each.__name__ == base)
    built = registrable.from_params(Params(example), **_given(base, tmp_path))
    assert f"{type(built).__module__}.{type(built).__name__}" == cls
    if isinstance(built, TokenEmbedder):
        assert built.mix_weights()["layer_2"] == pytest.approx(0.5)  # type: ignore[operator]
