"""A tagger from an archive, a training run, a model folder, or by its name."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from elmo_tagger.archives import bounded_by, open_archive
from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.bilm.loading.uninitialized import Uninitialized
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagger.card import Card
from elmo_tagger.tagger.config import TaggerConfig
from elmo_tagger.tagger.folder import Parts, is_folder, read_folder
from elmo_tagger.tagger.model import build_model
from elmo_tagger.tagger.tagger import Tagger
from elmo_tagger.tagger.vocabulary import UNKNOWN_TOKEN, read_vocabulary
from elmo_tagger.text.strict_json import parse_object

NAMED: dict[str, Path] = {"en": Path(__file__).parent / "en"}
"""Model folders that come with the package, by name."""


class LoadError(ElmoTaggerError):
    """Weights that do not fit their config, or a name that stands for no tagger."""


def load(
    model: str | Path | bytes,
    *,
    device: str | torch.device = "cpu",
    language: str | None = None,
) -> Tagger:
    """Load a trained tagger, without AllenNLP.

    Nothing that the model's files say is executed, imported, or opened as a path or URL. Weights are mapped into memory
    rather than copied, so several processes share them.

    Args:
        model: What `allennlp train` leaves: `model.tar.gz`, its bytes, or the directory of the run; a model folder, as
            `Tagger.save` writes; or `"en"`, the tagger of the package.
        device: Where to compute, such as `"cuda"`.
        language: spaCy's code of the language whose word rules split raw text; by default the model's, else English.

    Raises:
        ConfigError: A part of the model is not the engine's; the message names it.
        LoadError: There is no such tagger, or weights and config do not fit together.
        ArchiveError: The archive is damaged, or its config claims sizes that its tensors do not have.
        FolderError: The folder is damaged.
        OSError: A file cannot be read.
    """
    parts, name = read_parts(model), "the archive" if isinstance(model, bytes) else str(model)
    claimed = parts.config.to_dict()["model"]
    # nothing is allocated that no tensor fills, and no random start is drawn that the weights would only overwrite
    with bounded_by(parts.weights, claimed, name=name), Uninitialized():
        network = build_model(parts.config, parts.vocabulary)
    load_weights(network, parts.weights, name=name)
    return Tagger(parts.config, parts.vocabulary, network.to(device), language=language, card=parts.card)


def read_parts(model: str | Path | bytes) -> Parts:
    """The parts of a model that `load` takes, before anything is built of them.

    Raises:
        ConfigError: As `load`.
        LoadError: There is no such tagger.
        ArchiveError: The archive is damaged.
        FolderError: The folder is damaged.
        OSError: A file cannot be read.
    """
    path = model if isinstance(model, bytes) else _located(model)
    if isinstance(path, Path) and is_folder(path):
        return read_folder(path)
    with open_archive(path) as archive:
        raw, weights = archive.config(), archive.weights()
        config = TaggerConfig.from_dict(with_descriptions(raw, weights), source=archive.label("config.json"))
        unknown = (raw.get("vocabulary") or {}).get("oov_token") or UNKNOWN_TOKEN
        vocabulary = read_vocabulary(archive.directory / "vocabulary", unknown=unknown)
        return Parts(config, vocabulary, _without_descriptions(weights), _card(raw, archive.directory / "metrics.json"))


def _card(config: Mapping[str, Any], metrics: Path) -> Card:
    """What a training says of itself; its scores lie in the directory of the run, not in the archive."""
    scores = parse_object(metrics.read_bytes(), name=str(metrics)) if metrics.is_file() else {}
    return Card.of_training(config, scores)


def _located(model: str | Path) -> Path:
    """The path of a model that is given by path or name."""
    path = Path(model)
    if not isinstance(model, str) or model not in NAMED:
        if not path.exists():
            hint = f"; did you mean one of {', '.join(NAMED)}?" if len(str(model)) < 4 else ""
            raise LoadError(f"{model}: no such file or directory: expected a model.tar.gz or a model folder{hint}")
        return path
    if path.exists():
        raise LoadError(f"{model}: a tagger of the package, and something here has that name: for that give ./{model}")
    if not is_folder(NAMED[model]):
        raise LoadError(f"{model}: this installation has no such tagger; give a model.tar.gz or a model folder")
    return NAMED[model]


def with_descriptions(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config of an archive, with what its weights say of biLMs and static vectors put in.

    Args:
        config: As in `config.json`, which tells only which files they were read from when training began.
        weights: Among them each `elmo_hdf5` embedder's description of itself.
    """
    described = copy.deepcopy(dict(config))
    for key, value in weights.items():
        description = checkpoint.decode(value) if key.endswith(checkpoint.SUFFIX) else None
        name = key.removeprefix("text_field_embedder.token_embedder_").removesuffix(f".{checkpoint.SUFFIX}")
        if description is None:
            continue
        embedder = described["model"]["text_field_embedder"]["token_embedders"][name]
        embedder["options"] = description["options"]
        for namespace, dim in (description.get("static") or {}).items():
            embedder["static"] = {"namespace": namespace, "dim": dim}
    return described


def _without_descriptions(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in weights.items() if not key.endswith(checkpoint.SUFFIX)}


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], *, name: str) -> None:
    """Make tensors the parameters of a network, without copying those that have its types.

    Args:
        network: The network.
        weights: By the parameters' names.
        name: Of the model, for messages.

    Raises:
        LoadError: A parameter is missing, a tensor is foreign, or their shapes differ.
    """
    expected = {**dict(network.named_parameters(remove_duplicate=False)), **dict(network.named_buffers())}
    problems = [
        f"{key} is missing, expected with shape {tuple(value.shape)}"
        for key, value in network.state_dict().items()  # without what has a default, as the CRF's temperature
        if key not in weights
    ]
    for key, value in weights.items():
        if key not in expected:
            problems.append(f"{key}, of shape {tuple(value.shape)}, is foreign: the config has no such part")
        elif value.shape != expected[key].shape:
            shapes = tuple(expected[key].shape), tuple(value.shape)
            problems.append(f"{key}: expected shape {shapes[0]}, received {shapes[1]}")
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise LoadError(f"{name}: the weights do not fit the config: {'; '.join(problems[:5])}{more}")
    fitting = {key: value.to(expected[key].dtype) for key, value in weights.items()}
    network.load_state_dict(fitting, assign=True)
