"""A tagger from an archive, a training run, a model folder, or by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from elmo_tagger.archives import bounded_by, open_archive
from elmo_tagger.bilm.loading import allennlp_weights, checkpoint
from elmo_tagger.bilm.loading.bundled import BUNDLED
from elmo_tagger.bilm.loading.source import load_bilm
from elmo_tagger.bilm.loading.uninitialized import Uninitialized
from elmo_tagger.bilm.options import Options
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagger.card import Card
from elmo_tagger.tagger.config import ElmoConfig, TaggerConfig, TextFieldEmbedderConfig
from elmo_tagger.tagger.folder import Parts, is_folder, read_folder
from elmo_tagger.tagger.json_fields import read_value
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
    options_file: str | Path | None = None,
) -> Tagger:
    """Load a trained tagger, without AllenNLP.

    Nothing that the model's files say is executed, imported, or opened as a path or URL. Weights are mapped into memory
    rather than copied, so several processes share them.

    Args:
        model: What `allennlp train` leaves: `model.tar.gz`, its bytes, or the directory of the run; a model folder, as
            `Tagger.save` writes; or `"en"`, the tagger of the package.
        device: Where to compute, such as `"cuda"`.
        language: spaCy's code of the language whose word rules split raw text; by default the model's, else English.
        options_file: The biLM's `options.json`, for an archive with AllenNLP's own ELMo embedder, which lacks it; the
            published biLMs' are known.

    Raises:
        OptionsError: The options file is none.
        ConfigError: A part of the model is not the engine's; the message names it.
        LoadError: There is no such tagger, or weights and config do not fit together.
        ArchiveError: The archive is damaged, or its config claims sizes that its tensors do not have.
        FolderError: The folder is damaged.
        OSError: A file cannot be read.
    """
    parts, name = read_parts(model, options_file), "the archive" if isinstance(model, bytes) else str(model)
    claimed = parts.config.to_dict()["model"]
    # nothing is allocated that no tensor fills, and no random start is drawn that the weights would only overwrite
    with bounded_by(parts.weights, claimed, name=name), Uninitialized():
        network = build_model(parts.config, parts.vocabulary)
    load_weights(network, parts.weights, name=name)
    return Tagger(parts.config, parts.vocabulary, network.to(device), language=language, card=parts.card)


def read_parts(model: str | Path | bytes, options_file: str | Path | None = None) -> Parts:
    """The parts of a model that `load` takes, before anything is built of them.

    Raises:
        OptionsError: The options file is none.
        ConfigError: As `load`.
        LoadError: There is no such tagger.
        ArchiveError: The archive is damaged.
        FolderError: The folder is damaged.
        OSError: A file cannot be read.
    """
    path = model if isinstance(model, bytes) else _located(model)
    if isinstance(path, Path) and is_folder(path):
        return with_bundled_bilms(read_folder(path), name=str(path))
    with open_archive(path) as archive:
        raw, weights = archive.config(), archive.weights()
        options = None if options_file is None else Options.from_file(options_file)
        config = TaggerConfig.from_dict(raw, source=archive.label("config.json"))
        config = complete(config, weights, options=options, name=archive.name)
        settings = raw.get("vocabulary")
        unknown = settings.get("oov_token") if isinstance(settings, dict) else None
        vocabulary = read_vocabulary(archive.directory / "vocabulary", unknown=unknown or UNKNOWN_TOKEN)
        return Parts(config, vocabulary, weights, _card(raw, archive.directory / "metrics.json"))


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


def with_bundled_bilms(parts: Parts, *, name: str) -> Parts:
    """The parts of a model folder, with the weights that it shares with a biLM of the package.

    Args:
        parts: As the folder's files say.
        name: Of the folder, for messages.

    Raises:
        LoadError: The package has no such biLM.
    """
    weights = dict(parts.weights)
    embedders = dict(parts.config.model.text_field_embedder.token_embedders)
    for key, embedder in embedders.items():
        if not isinstance(embedder, ElmoConfig) or embedder.bundled is None:
            continue
        if embedder.bundled not in BUNDLED:
            raise LoadError(
                f"{name}: expected a biLM of the package, {', '.join(BUNDLED)}, received {embedder.bundled}"
            )
        bilm = load_bilm(embedder.bundled)
        prefix = f"text_field_embedder.token_embedder_{key}.bilm."
        weights.update({prefix + parameter: tensor for parameter, tensor in bilm.state_dict().items()})
        embedders[key] = replace(embedder, options=bilm.options.to_dict(), bundled=None)
    model = replace(parts.config.model, text_field_embedder=TextFieldEmbedderConfig(token_embedders=embedders))
    return replace(parts, config=replace(parts.config, model=model), weights=weights)


def complete(
    config: TaggerConfig, weights: dict[str, Tensor], *, options: Options | None = None, name: str
) -> TaggerConfig:
    """The config of an archive, with what only its weights tell of biLMs and static vectors.

    Args:
        config: As in `config.json`, which names the files that they were read from when training began.
        weights: Each `elmo_hdf5` embedder's description of itself is taken out; an embedder of AllenNLP's gets this
            package's names and layout.
        options: Of the biLM of AllenNLP's embedders, where they are not those of a published one.
        name: Of the archive, for messages.

    Raises:
        ConfigError: A description is none.
        LoadError: Weights of AllenNLP's embedder are missing.
    """
    embedders = dict(config.model.text_field_embedder.token_embedders)
    for key, embedder in embedders.items():
        if isinstance(embedder, ElmoConfig):
            prefix = f"text_field_embedder.token_embedder_{key}."
            embedders[key] = _described(embedder, weights, prefix, options, name)
    model = replace(config.model, text_field_embedder=TextFieldEmbedderConfig(token_embedders=embedders))
    return replace(config, model=model)


def _described(
    embedder: ElmoConfig, weights: dict[str, Tensor], prefix: str, options: Options | None, name: str
) -> ElmoConfig:
    description = checkpoint.decode(weights.pop(f"{prefix}{checkpoint.SUFFIX}", None))
    if description is not None:
        static = embedder.static
        if static is not None:
            dims = read_value(dict[str, int], description.get("static") or {}, f"{name}: {prefix} static")
            static = replace(static, dim=dims.get(static.namespace, static.dim))
        return replace(embedder, options=description.get("options"), static=static)
    try:
        if allennlp_weights.translate(weights, prefix):
            options = options or allennlp_weights.published_options(weights, prefix)
    except (LookupError, RuntimeError, ValueError) as error:
        raise LoadError(f"{name}: {prefix[:-1]}: expected the weights of AllenNLP's embedder: {error}") from error
    return embedder if options is None else replace(embedder, options=options.to_dict())


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
