"""An archive of AllenNLP, or the directory of a training run, as the parts of a tagger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from elmo_tagger.archives import Archive
from elmo_tagger.bilm.loading import allennlp_weights, checkpoint
from elmo_tagger.bilm.options import Options
from elmo_tagger.tagger.assembly import LoadError
from elmo_tagger.tagger.card import Card
from elmo_tagger.tagger.config import ElmoConfig, TaggerConfig, TextFieldEmbedderConfig
from elmo_tagger.tagger.folder import Parts
from elmo_tagger.tagger.json_fields import ConfigError, read_value
from elmo_tagger.tagger.migration import weights as old_weights
from elmo_tagger.tagger.migration.age import age_of
from elmo_tagger.tagger.migration.config import SOFTMAX, OldConfig, left_out
from elmo_tagger.tagger.vocabulary import UNKNOWN_TOKEN, find_namespace, read_vocabulary
from elmo_tagger.text.strict_json import parse_object

_KEPT = ("dataset_reader", "validation_dataset_reader", "model", "language")


@dataclass(frozen=True)
class ReadArchive:
    """What was in an archive.

    Attributes:
        parts: Of its tagger.
        made_by: The AllenNLP that made it, with what says so.
        changes: What is not as it was in the archive, one line each.
    """

    parts: Parts
    made_by: str
    changes: tuple[str, ...]


def read_archive(archive: Archive, *, options: Options | None = None, allennlp: str | None = None) -> ReadArchive:
    """The parts of an archive's tagger, its config and its weights in the words of today.

    Args:
        archive: The archive.
        options: Those of the biLM of AllenNLP's own embedder, which are not in the archive; the published biLMs' are
            known.
        allennlp: The version of AllenNLP that made it, where the archive does not say it.

    Raises:
        ConfigError: A part of the model is not the engine's, or nothing tells how old the archive is.
        LoadError: Weights of AllenNLP's embedder are missing.
        ArchiveError: The archive is damaged.
        OSError: A file cannot be read.
    """
    raw, weights = archive.config(), archive.weights()
    age = age_of(archive, raw, weights, allennlp)
    old = OldConfig(archive, raw, weights, age)
    settings = raw.get("vocabulary")
    unknown = settings.get("oov_token") if isinstance(settings, Mapping) else None
    vocabulary = read_vocabulary(archive.directory / "vocabulary", unknown=unknown or UNKNOWN_TOKEN)
    where = archive.label("config.json")
    namespace = read_value(str, old.model.get("label_namespace", "labels"), f"{where}: model.label_namespace")
    tags = find_namespace(vocabulary, namespace, f"{where}: model.label_namespace").tokens
    old.find_scheme(tags)
    config = TaggerConfig.from_dict(old.to_dict(), source=where)
    changes = [*old.changes]
    old_weights.rename(weights, changes)
    _complete_crf(old, weights, tags, changes, archive.name)
    config = complete(config, weights, options=options, name=archive.name, changes=changes)
    unused = [*left_out(old.model, config.model, "model"), *(key for key in raw if key not in _KEPT)]
    changes += [f"{path} left out: tagging does not need it" for path in unused]
    card = _card(raw, archive.directory / "metrics.json")
    return ReadArchive(Parts(config, vocabulary, weights, card), age.made_by, tuple(changes))


def _complete_crf(
    old: OldConfig, weights: dict[str, Tensor], tags: Sequence[str], changes: list[str], name: str
) -> None:
    """Adds what the engine's CRF needs and the archive lacks."""
    scheme = old.model.get("label_encoding")
    if old.is_softmax:
        if any(key.startswith("crf.") for key in weights):
            raise LoadError(f"{name}: expected no crf in the weights of a {SOFTMAX}")
        old_weights.add_crf(weights, tags, changes)
    elif old.model.get("constrain_crf_decoding") is False:
        scheme = None
    old_weights.add_constraints(weights, tags, scheme, changes)


def complete(
    config: TaggerConfig, weights: dict[str, Tensor], *, options: Options | None, name: str, changes: list[str]
) -> TaggerConfig:
    """The config of an archive, with what only its weights tell of biLMs and static vectors.

    Args:
        config: As in `config.json`, which names the files that they were read from when training began.
        weights: Each `elmo_hdf5` embedder's description of itself is taken out; an embedder of AllenNLP's gets this
            package's names and layout.
        options: Of the biLM of AllenNLP's embedders, if they are given.
        name: Of the archive, for messages.
        changes: Where each change is told.

    Raises:
        ConfigError: A description is none, or the options of a biLM are nowhere.
        LoadError: Weights of AllenNLP's embedder are missing.
    """
    embedders = dict(config.model.text_field_embedder.token_embedders)
    for key, embedder in embedders.items():
        if isinstance(embedder, ElmoConfig):
            prefix = f"text_field_embedder.token_embedder_{key}."
            described = _described(embedder, weights, prefix, name)
            embedders[key] = described or _translated(embedder, weights, prefix, options, name, changes)
    model = replace(config.model, text_field_embedder=TextFieldEmbedderConfig(token_embedders=embedders))
    return replace(config, model=model)


def _described(embedder: ElmoConfig, weights: dict[str, Tensor], prefix: str, name: str) -> ElmoConfig | None:
    """An embedder `elmo_hdf5`, as it describes itself among the weights; None if it does not."""
    description = checkpoint.decode(weights.pop(f"{prefix}{checkpoint.SUFFIX}", None))
    if description is None:
        return None
    static = embedder.static
    if static is not None:
        dims = read_value(dict[str, int], description.get("static") or {}, f"{name}: {prefix} static")
        static = replace(static, dim=dims.get(static.namespace, static.dim))
    return replace(embedder, options=description.get("options"), static=static)


def _translated(
    embedder: ElmoConfig,
    weights: dict[str, Tensor],
    prefix: str,
    options: Options | None,
    name: str,
    changes: list[str],
) -> ElmoConfig:
    """An embedder of AllenNLP's."""
    cached = f"{prefix}{allennlp_weights.CACHED_WORDS}" in weights
    published = None
    try:
        if not allennlp_weights.translate(weights, prefix):
            return embedder
        if options is None and embedder.options is None:
            published = allennlp_weights.published_options(weights, prefix)
    except (LookupError, RuntimeError, ValueError) as error:
        raise LoadError(f"{name}: {prefix[:-1]}: expected the weights of AllenNLP's embedder: {error}") from error
    changes.append(f"weights: {prefix}_elmo -> {prefix}bilm, in bilm-tf's layout")
    changes.append(f"{prefix}bilm: its state is not carried from batch to batch, as AllenNLP's was")
    if cached:
        changes.append(f"weights: {prefix}{allennlp_weights.CACHED_WORDS} left out")
    if published is not None:
        changes.append(f"{prefix}options added: those of the published biLM of its shape")
    elif options is not None:
        changes.append(f"{prefix}options added, from {options.source}")
    chosen = options or published
    if chosen is None and embedder.options is None:
        key = prefix.removeprefix("text_field_embedder.token_embedder_")[:-1]
        raise ConfigError(
            f"{name}: token_embedders.{key}: the options of its biLM are missing, and nobody has published one of its "
            "shape: give its options.json as options_file, or --options"
        )
    return embedder if chosen is None else replace(embedder, options=chosen.to_dict())


def _card(config: Mapping[str, Any], metrics: Path) -> Card:
    """What a training says of itself; its scores lie in the directory of the run, not in the archive."""
    scores = parse_object(metrics.read_bytes(), name=str(metrics)) if metrics.is_file() else {}
    return Card.of_training(config, scores)
