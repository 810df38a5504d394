"""An older archive's config in the words of today."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

from elmo_tagger.archives import Archive
from elmo_tagger.bilm.options import Options
from elmo_tagger.errors import shown
from elmo_tagger.tagger.config import CnnConfig
from elmo_tagger.tagger.json_fields import NOT_OURS, ConfigError
from elmo_tagger.tagger.migration.age import FTA, Age
from elmo_tagger.tagging.schemes import is_tag

CRF = ("crf_tagger", "elmo_bilstm_crf")
SOFTMAX = "simple_tagger"
STOCK_ELMO = "elmo_token_embedder"
_EMBEDDERS = "model.text_field_embedder"
_SETTINGS = ("type", "token_embedders", "embedder_to_indexer_map", "allow_unmatched_keys")


class OldConfig:
    """A config that becomes one that `TaggerConfig.from_dict` reads.

    Values of wrong types are passed on, since that is where they are named.

    Args:
        archive: Whose it is.
        raw: The parsed JSON.
        weights: Its tensors.
        age: When it was made.

    Raises:
        ConfigError: It is no tagger, nothing tells how old it is though that counts, or its embedders do not each read
            one indexer.
        OptionsError: The archive's options of the biLM are none.

    Attributes:
        model: Its object `model`, rewritten.
        token_indexers: The indexers by the names of their embedders; None for AllenNLP's default.
        embedders: The embedders by name, a part of `model`.
        reader: The dataset reader that predictions use.
        is_softmax: Whether it was a tagger without a CRF.
        changes: What was changed.
    """

    def __init__(self, archive: Archive, raw: Mapping[str, Any], weights: Mapping[str, Tensor], age: Age) -> None:
        self._archive = archive
        self._raw = raw
        self._weights = weights
        self._age = age
        self.changes: list[str] = []
        self.reader: Mapping[str, Any] = raw.get("validation_dataset_reader") or raw["dataset_reader"]
        if not isinstance(self.reader, Mapping):
            where = archive.label("config.json")
            raise ConfigError(f"{where}: validation_dataset_reader: expected an object, received {shown(self.reader)}")
        self.model: dict[str, Any] = dict(raw["model"])
        self.is_softmax = self.model.get("type") == SOFTMAX
        self._name_model()
        self._name_scheme()
        self.embedders = self._nest_embedders()
        self.token_indexers = self._match_indexers()
        for name, embedder in self.embedders.items():
            if isinstance(embedder, Mapping):
                self.embedders[name] = self._embedder(name, dict(embedder))

    def to_dict(self) -> dict[str, Any]:
        """The config of today."""
        kept = {key: self._raw[key] for key in ("language",) if key in self._raw}
        return {**kept, "model": self.model, "token_indexers": self.token_indexers}

    def _name_model(self) -> None:
        kind = self.model.get("type")
        if kind not in (*CRF, SOFTMAX):
            raise ConfigError(
                f"{self._archive.label('config.json')}: model.type: expected a tagger, one of {', '.join(CRF)}, "
                f"{SOFTMAX}, received {shown(kind)}: {NOT_OURS}"
            )
        if self.is_softmax:
            self.model |= {"type": CRF[0], "include_start_end_transitions": False}
            self.changes.append(f"model.type {SOFTMAX} -> {CRF[0]}, a CRF whose transitions are 0")
        if "stacked_encoder" in self.model:
            self.model["encoder"] = self.model.pop("stacked_encoder")
            self.changes.append("model.stacked_encoder -> model.encoder")

    def _name_scheme(self) -> None:
        scheme = self.model.pop("constraint_type", None)
        if scheme is not None:
            self.model.setdefault("label_encoding", scheme)
            self.changes.append(f"model.constraint_type {shown(scheme, quoted=False)} -> model.label_encoding")

    def find_scheme(self, tags: Sequence[str]) -> None:
        """Adds the scheme of an archive that needed none: before 0.8, without constraints.

        Args:
            tags: By id.
        """
        if self.model.get("label_encoding") is not None or not self._age.before_1:
            return
        scheme = self.reader.get("coding_scheme")  # what the reader wrote the tags in
        if isinstance(scheme, str) and all(is_tag(tag, scheme) for tag in tags):
            self.model |= {"label_encoding": scheme, "constrain_crf_decoding": False}
            self.changes.append(f"model.label_encoding {scheme} added, from dataset_reader.coding_scheme")
        else:
            self.changes.append("model.label_encoding: nothing says the scheme of its tags, so it finds no entities")

    def _nest_embedders(self) -> dict[str, Any]:
        """The embedders, under `token_embedders` as since 1.0."""
        field = self.model.get("text_field_embedder")
        if not isinstance(field, Mapping):
            return {}
        nested = field.get("token_embedders")
        if nested is None:
            embedders = {name: embedder for name, embedder in field.items() if name not in _SETTINGS}
            self.changes.append(f"{_EMBEDDERS}: {', '.join(map(str, embedders))} moved into token_embedders")
        elif isinstance(nested, Mapping):
            embedders = dict(nested)
        else:
            return {}
        self.model["text_field_embedder"] = {**field, "token_embedders": embedders}
        if nested is None:
            for name in embedders:
                del self.model["text_field_embedder"][name]
        return embedders

    def _match_indexers(self) -> Any:
        """The indexers, each under the name of its embedder."""
        indexers = self.reader.get("token_indexers")
        field = self.model.get("text_field_embedder")
        if not isinstance(field, dict) or not isinstance(indexers, Mapping):
            return indexers
        inputs = field.pop("embedder_to_indexer_map", None)
        unmatched = field.pop("allow_unmatched_keys", None)
        if inputs is None and not unmatched:
            return indexers
        given = inputs if isinstance(inputs, Mapping) else {}
        sources = {name: self._input(name, given.get(name, name)) for name in self.embedders}
        self.changes += [
            f"dataset_reader.token_indexers.{source} -> {name}, as embedder_to_indexer_map says"
            for name, source in sources.items()
            if source != name
        ]
        self.changes += [
            f"dataset_reader.token_indexers.{name} left out: no embedder reads it"
            for name in indexers
            if name not in sources.values()
        ]
        return {name: indexers[source] for name, source in sources.items() if source in indexers}

    def _input(self, name: str, given: Any) -> str:
        """The one indexer that an embedder reads."""
        where = f"{self._archive.label('config.json')}: {_EMBEDDERS}.embedder_to_indexer_map.{name}"
        names = list(given.values()) if isinstance(given, Mapping) else [given] if isinstance(given, str) else given
        if not isinstance(names, list) or not any(names) or not all(isinstance(each, str | None) for each in names):
            raise ConfigError(f"{where}: expected names of indexers, received {shown(given)}")
        first, *others = (str(each) for each in names if each is not None)
        embedder = self.embedders[name]
        if others and not (isinstance(embedder, Mapping) and embedder.get("type") == STOCK_ELMO):
            raise ConfigError(f"{where}: expected one indexer, received {', '.join(map(shown, names))}")
        return first

    def _embedder(self, name: str, embedder: dict[str, Any]) -> dict[str, Any]:
        where = f"{_EMBEDDERS}.token_embedders.{name}"
        if embedder.get("type") == STOCK_ELMO:
            self._elmo(name, embedder, where)
        encoder = embedder.get("encoder")
        if embedder.get("type") == "character_encoding" and isinstance(encoder, Mapping):
            embedder["encoder"] = self._character_encoder(name, encoder, where)
            embedder["embedding"] = self._character_embedding(name, embedder.get("embedding"), where)
        return embedder

    def _elmo(self, name: str, embedder: dict[str, Any], where: str) -> None:
        if embedder.pop("namespace_to_cache", None) is not None:
            self.changes.append(f"{where}.namespace_to_cache left out: all words' vectors come from their characters")
        for key in (f"model.text_field_embedder.{name}", f"model.text_field_embedder.token_embedders.{name}"):
            member = f"{FTA}/{key}.options_file"
            if (self._archive.directory / member).is_file():
                options = Options.from_dict(self._archive.read_json(member), source=self._archive.label(member))
                embedder["options"] = options.to_dict()
                self.changes.append(f"{where}.options added, from {member}")

    def _character_encoder(self, name: str, encoder: Mapping[str, Any], where: str) -> Mapping[str, Any]:
        if encoder.get("type") != "cnn":
            return encoder
        if self._age.masks_padding is None:
            raise ConfigError(
                f"{self._archive.name}: nothing in it tells which AllenNLP made it, and the character encoder cnn has "
                f"changed in 1.2.1: `elmo-tagger migrate --allennlp VERSION`"
            )
        indexer = self.token_indexers.get(name) if isinstance(self.token_indexers, Mapping) else None
        shortest = indexer.get("min_padding_length", 0) if isinstance(indexer, Mapping) else 0
        sizes = encoder.get("ngram_filter_sizes", CnnConfig.ngram_filter_sizes)
        widest = max((size for size in sizes if isinstance(size, int)), default=0) if isinstance(sizes, Sequence) else 0
        if isinstance(shortest, int) and widest > shortest:
            self.changes.append(
                f"{where}: a sentence whose words are all shorter than its filters, at which AllenNLP failed, is tagged"
            )
        if self._age.masks_padding:
            return encoder
        self.changes.append(
            f"{where}.encoder.masks_padding false added: before AllenNLP 1.2.1 a word's vector depended on the longest "
            "word of its batch; here on that of its sentence, as if each sentence came alone"
        )
        return {**encoder, "masks_padding": False}

    def _character_embedding(self, name: str, embedding: Any, where: str) -> Any:
        """With its size: of whose vocabulary it is by default has changed in 1.0, from characters to words."""
        rows = self._weights.get(f"text_field_embedder.token_embedder_{name}._embedding._module.weight")
        known = not isinstance(embedding, Mapping) or {"num_embeddings", "vocab_namespace"} & set(embedding)
        if known or rows is None or rows.dim() != 2:
            return embedding
        self.changes.append(f"{where}.embedding.num_embeddings {len(rows)} added, as its weights have rows")
        return {**embedding, "num_embeddings": len(rows)}


def left_out(raw: Mapping[str, Any], part: object, where: str) -> Iterator[str]:
    """The arguments of a config that a dataclass does not have, by their paths.

    Args:
        raw: What the dataclass was read from.
        part: The dataclass.
        where: Its path.
    """
    known = {field.name for field in fields(part)} if is_dataclass(part) else None
    for key, value in raw.items():
        path = f"{where}.{key}"
        if known is not None and key not in known and key != "type":
            yield path
            continue
        held = getattr(part, key, None) if known is not None else part[key] if isinstance(part, Mapping) else None
        pairs: Sequence[tuple[Any, Any, str]] = [(value, held, path)]
        if isinstance(held, tuple) and isinstance(value, list):
            pairs = [(*both, f"{path}[{place}]") for place, both in enumerate(zip(value, held, strict=True))]
        for inner, of, inner_path in pairs:
            if isinstance(inner, Mapping) and (is_dataclass(of) or isinstance(of, Mapping)):
                yield from left_out(inner, of, inner_path)
