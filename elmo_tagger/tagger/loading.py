"""A tagger from an archive, a training run, a model folder, or by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from elmo_tagger.archives import open_archive
from elmo_tagger.bilm.loading.bundled import BUNDLED
from elmo_tagger.bilm.loading.source import load_bilm
from elmo_tagger.bilm.options import Options
from elmo_tagger.tagger.assembly import LoadError, build
from elmo_tagger.tagger.config import ElmoConfig, TextFieldEmbedderConfig
from elmo_tagger.tagger.folder import Parts, is_folder, read_folder
from elmo_tagger.tagger.migration.archive import read_archive
from elmo_tagger.tagger.tagger import Tagger

NAMED: dict[str, Path] = {"en": Path(__file__).parent / "en"}
"""Model folders that come with the package, by name."""


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
    parts = read_parts(model, options_file)
    return build(
        parts, name="the archive" if isinstance(model, bytes) else str(Path(model)), device=device, language=language
    )


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
    options = None if options_file is None else Options.from_file(options_file)
    with open_archive(path) as archive:
        return read_archive(archive, options=options).parts


def _located(model: str | Path) -> Path:
    """The path of a model that is given by path or name."""
    path = Path(model)
    if not isinstance(model, str) or model not in NAMED:
        if not path.exists():
            named = ", ".join(NAMED)
            raise LoadError(
                f"{model}: no such file or directory: expected a model.tar.gz, a model folder, or the name of a tagger "
                f"of the package ({named})"
            )
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
