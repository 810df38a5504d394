"""A model folder: `config.json`, `model.safetensors` and `README.md`, the layout that model hubs know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import elmo_tagger
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagger.card import Card, render, sections_of
from elmo_tagger.tagger.config import ConfigError, TaggerConfig
from elmo_tagger.tagger.json_fields import read_object
from elmo_tagger.tagger.vocabulary import Namespace, Vocabulary
from elmo_tagger.tagging.span_arrays import TagTable
from elmo_tagger.text.files import DataError
from elmo_tagger.text.outputs import Output, OutputError, new_folder
from elmo_tagger.text.strict_json import parse_object

CONFIG_NAME, WEIGHTS_NAME, CARD_NAME = "config.json", "model.safetensors", "README.md"


class FolderError(ElmoTaggerError):
    """A folder that holds no tagger, or a damaged one."""


@dataclass(frozen=True)
class Parts:
    """What a tagger is built from.

    Attributes:
        config: What it is made of.
        vocabulary: Its words, characters and tags.
        weights: By the parameters' names.
        card: What else is known of it.
    """

    config: TaggerConfig
    vocabulary: Vocabulary
    weights: Mapping[str, Tensor]
    card: Card = field(default_factory=Card)


def is_folder(path: Path) -> bool:
    """Whether a path is a model folder, rather than an archive or the directory of a training run."""
    return (path / WEIGHTS_NAME).is_file()


def read_folder(path: str | Path) -> Parts:
    """Read a model folder; the weights are mapped into memory, not copied.

    Raises:
        FolderError: A file is missing or damaged.
        ConfigError: The config describes no tagger.
        OSError: A file cannot be read.
    """
    path = Path(path)
    where = str(path / CONFIG_NAME)
    try:
        raw = parse_object((path / CONFIG_NAME).read_bytes(), name=where)
        weights = load_file(path / WEIGHTS_NAME)
    except DataError as error:
        raise FolderError(str(error)) from None
    except SafetensorError as error:
        raise FolderError(f"{path / WEIGHTS_NAME}: expected tensors as safetensors stores them: {error}") from error
    except FileNotFoundError as error:
        raise FolderError(f"{path}: expected a file {Path(str(error.filename)).name} in it") from error
    config, vocabulary = TaggerConfig.from_dict(raw, source=where), _vocabulary(raw.get("vocabulary"), where)
    card = read_object(Card, raw.get("card", {}), f"{where}: card")
    return Parts(config, vocabulary, weights, replace(card, sections=_sections(path / CARD_NAME)))


def _sections(readme: Path) -> str:
    """What somebody wrote for the card; a model does not need one, nor one in UTF-8."""
    return sections_of(readme.read_text(encoding="utf-8", errors="replace")) if readme.is_file() else ""


def _vocabulary(raw: object, where: str) -> Vocabulary:
    if not isinstance(raw, Mapping) or not all(
        isinstance(tokens, list) and all(isinstance(token, str) for token in tokens) for tokens in raw.values()
    ):
        raise ConfigError(f"{where}: vocabulary: expected an object of lists of strings")
    return {name: Namespace(tokens) for name, tokens in raw.items()}


def write_folder(path: str | Path, parts: Parts, *, force: bool = False) -> None:
    """Write a model folder; its files appear when all of them are complete.

    All weights go into it, those of a biLM of the package too, so that it needs nothing but this library elsewhere.

    Args:
        path: Made if need be.
        parts: What goes into it.
        force: Whether files that are there already may be written over.

    Raises:
        OutputError: One of the files is there already, or there is no room for the weights.
        OSError: The folder cannot be written.
    """
    library = f"elmo_tagger {elmo_tagger.__version__}"
    card = {name: value for name, value in asdict(parts.card).items() if name != "sections"}  # those are in README.md
    written = {"library": library, "card": card, **parts.config.to_dict()}
    # last, since it is long
    written["vocabulary"] = {name: list(namespace.tokens) for name, namespace in parts.vocabulary.items()}
    with new_folder(Output(path, force=force, folder=True, permission="force=True")) as unfinished:
        (unfinished / CONFIG_NAME).write_text(
            json.dumps(written, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
        text = render(parts.card, language=parts.config.language, labels=_labels(parts), library=library)
        (unfinished / CARD_NAME).write_text(text, encoding="utf-8")
        try:
            save_file(_apart(_narrow(parts.weights)), unfinished / WEIGHTS_NAME, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OutputError(f"{Path(path) / WEIGHTS_NAME}: cannot be written: {error}") from error
        # safetensors lets nobody else read it
        (unfinished / WEIGHTS_NAME).chmod((unfinished / CONFIG_NAME).stat().st_mode)


def _labels(parts: Parts) -> list[str]:
    """The types of entities that the tags spell."""
    scheme = parts.config.model.label_encoding
    return TagTable(parts.vocabulary[parts.config.model.label_namespace].tokens, scheme).types if scheme else []


def _narrow(weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The weights, in float16 if it holds all numbers but the CRF's, as of the package's `en`: half of the bytes.

    All or none: float32 can be mapped into memory as it is, and a model of which only the biLM had once been rounded
    would lose that.
    """
    floats = {
        name: tensor
        for name, tensor in weights.items()
        if tensor.dtype == torch.float32 and not name.startswith("crf.")
    }
    if not all(torch.equal(tensor.half().float(), tensor) for tensor in floats.values()):
        return weights
    return {**weights, **{name: tensor.half() for name, tensor in floats.items()}}


def _apart(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, those copied that share memory with others, which safetensors refuses."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in weights.items():
        apart[name] = tensor.clone() if tensor.data_ptr() in seen else tensor.contiguous()
        seen.add(tensor.data_ptr())
    return apart
