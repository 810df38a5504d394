"""Archives of old, read without AllenNLP: what is changed, what is told, and what is refused."""

import itertools
import json
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import elmo_tagger
from elmo_tagger.archives import ArchiveError
from elmo_tagger.bilm.loading.allennlp_weights import published_options
from elmo_tagger.bilm.options import OptionsError
from elmo_tagger.errors import ElmoTaggerError
from elmo_tagger.tagger import ConfigError, LoadError, Tagger
from elmo_tagger.tagger.migration import Migration, migrate
from elmo_tagger.tagging.schemes import is_well_formed
from elmo_tagger.text.columns import read_columns
from tests.tagger.old_archives import (
    ELMO,
    LAYOUTS,
    OPTIONS,
    SHAPES,
    changed,
    config,
    vocabulary,
    weights,
    write_archive,
)

SENTENCES = [sentence.tokens for sentence in read_columns("fixtures/quickstart/dev.conll")][:12]
EMBEDDERS = "model.text_field_embedder.token_embedders"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The options of the archives' biLM, which nobody published."""
    path = tmp_path_factory.mktemp("options") / "options.json"
    path.write_text(json.dumps(OPTIONS))
    return path


def from_archive(
    tmp_path: Path, options: Path | None = None, *arguments: Any, allennlp: str | None = None, **changes: Any
) -> Migration:
    return migrate(
        write_archive(tmp_path / "old.tar.gz", *arguments, **changes), options_file=options, allennlp=allennlp
    )


def tags(tagger: Tagger) -> list[list[str]]:
    return [tagger.tag(tokens).tags for tokens in SENTENCES]


# ---- what a tagger says


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_says_what_the_archive_says(shape: str, layout: str, tmp_path: Path, options: Path) -> None:
    old = write_archive(tmp_path / "old.tar.gz", shape, layout)
    found = migrate(old, options_file=options)
    found.tagger.save(tmp_path / "new")
    assert tags(elmo_tagger.load(tmp_path / "new")) == tags(found.tagger)
    assert tags(elmo_tagger.load(old, options_file=options)) == tags(found.tagger)
    assert len({tag for each in tags(found.tagger) for tag in each}) > 3
    card = (tmp_path / "new" / "README.md").read_text()
    assert f"- Migrated from old.tar.gz, made by {found.made_by}." in card
    assert all(f"- {change}\n" in card for change in found.changes)


def test_layouts_change_nothing_that_a_tagger_computes(tmp_path: Path, options: Path) -> None:
    each = [tags(from_archive(tmp_path, options, "fine_grained_ner", layout).tagger) for layout in LAYOUTS]
    assert all(found == each[0] for found in each)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sentence_does_not_depend_on_its_batch(layout: str, tmp_path: Path, options: Path) -> None:
    """Although the word vectors of an old character CNN depend on the longest word of theirs."""
    tagger = from_archive(tmp_path, options, "ner_elmo", layout).tagger
    for alone, batched in zip(SENTENCES, tagger.pipe(SENTENCES, top_k=2), strict=True):
        document = tagger.tag(alone, top_k=2)
        assert batched.tags == document.tags
        scores = [[n_best[0].log_probability for n_best in each.n_best] for each in (batched, document)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sentence_of_words_shorter_than_the_filter_is_tagged(layout: str, tmp_path: Path, options: Path) -> None:
    changed = {"dataset_reader.token_indexers.token_characters": {"type": "characters"}}
    short = from_archive(tmp_path, options, "ner_elmo", layout, config_changes=changed)
    if layout >= "0.8":  # earlier ones lack it anyway
        padded = from_archive(tmp_path, options, "ner_elmo", layout)
        assert short.tagger.tag(["2", "."]).to_json() == padded.tagger.tag(["2", "."]).to_json()
    assert len(short.tagger.tag(["2", "."]).tags) == 2
    assert any("shorter than its filters" in change for change in short.changes)


def test_a_tagger_without_elmo_is_read(tmp_path: Path) -> None:
    """As `quarel-tagger-2018.10.03`: embedders not nested, BIO, no ELMo."""
    tensors: dict[str, torch.Tensor | None] = {name: None for name in weights("ner_elmo") if name.startswith(ELMO)}
    widths = {"encoder._module.weight_ih_l0": 10, "encoder._module.weight_ih_l0_reverse": 10}
    tensors |= {name: weights("ner_elmo")[name][:, width:].contiguous() for name, width in widths.items()}
    labels = ["O", "B-a", "I-a", "B-b", "I-b"]
    for name in ("tag_projection_layer._module.weight", "tag_projection_layer._module.bias"):
        tensors[name] = weights("ner_elmo")[name][: len(labels)].clone()
    tensors |= {"crf.transitions": torch.zeros(5, 5), "crf._constraint_mask": torch.ones(7, 7)}
    found = from_archive(
        tmp_path,
        None,
        "ner_elmo",
        "0.5",
        config_changes={
            "model.constraint_type": "BIO",
            "model.text_field_embedder.elmo": None,
            "dataset_reader.token_indexers.elmo": None,
        },
        weight_changes=tensors,
        files={"vocabulary/labels.txt": "\n".join(labels).encode(), "files_to_archive.json": None},
    )
    assert found.tagger.labels == ["a", "b"]
    assert len(tags(found.tagger)) == len(SENTENCES)


SIMPLE = {"model.type": "simple_tagger", "model.dropout": None, "model.include_start_end_transitions": None}
NO_CRF = {"crf.transitions": None, "crf._constraint_mask": None}


def test_a_simple_tagger_chooses_the_most_probable_tags_that_its_scheme_allows(tmp_path: Path, options: Path) -> None:
    found = from_archive(tmp_path, options, "ner_elmo", "1.0", config_changes=SIMPLE, weight_changes=NO_CRF)
    free = from_archive(
        tmp_path,
        options,
        "ner_elmo",
        "1.0",
        config_changes={**SIMPLE, "model.label_encoding": None},
        weight_changes=NO_CRF,
    )
    assert all(is_well_formed(each, "BIOUL") for each in tags(found.tagger))
    assert not all(is_well_formed(each, "BIOUL") for each in tags(free.tagger))
    for sentence in SENTENCES:
        # of the free one's taggings, by probability, the first legal one
        n_best = free.tagger.tag(sentence[:2], top_k=300).n_best[0]
        legal = next(each.tags for each in n_best if is_well_formed(each.tags, "BIOUL"))
        assert found.tagger.tag(sentence[:2]).tags == legal
    assert "model.type simple_tagger -> crf_tagger, a CRF whose transitions are 0" in found.changes
    assert "weights: crf._constraint_mask added: the rules of BIOUL" in found.changes


# ---- how old it is


def masked(migration: Migration) -> bool:
    """Whether the character CNN leaves padding out; no more than what the report says."""
    says = any("masks_padding false" in change for change in migration.changes)
    assert says == ("masks_padding" in json.dumps(migration.tagger.config.to_dict()))
    return not says


META = {"meta.json": b'{"version": "2.10.1"}'}
NEW, OLD, NEVER = 1605052800.0, 1600000000.0, 0.0  # November 11th and September 13th 2020, and no time


@pytest.mark.parametrize(
    ("layout", "given", "made_by", "masks"),
    [
        ("2.1", {"time": NEW}, r"AllenNLP 1\.2\.1 or later \(its weights are of 2020-11-11\)", True),
        ("1.0", {"time": OLD}, r"AllenNLP before 1\.2\.1 \(its weights are of 2020-09-13\)", False),
        ("2.1", {"time": OLD, "files": META}, r"AllenNLP 2\.10\.1 \(says meta.json\)", True),
        ("1.0", {"time": NEW, "files": {"meta.json": b'{"version": "1.2.0"}'}}, r"1\.2\.0 \(says meta.json\)", False),
        ("0.9", {"time": NEW}, r"AllenNLP 0\.x \(it has files_to_archive.json\)", False),
        ("2.1", {"time": NEW, "allennlp": "1.2.0"}, r"AllenNLP 1\.2\.0 \(as given\)", False),
        ("2.1", {"time": NEVER, "allennlp": "v1.2.1"}, r"AllenNLP 1\.2\.1 \(as given\)", True),
        ("0.9", {"time": NEVER, "allennlp": "0.9"}, r"AllenNLP 0\.9 \(as given\)", False),
        ("2.1", {"time": OLD, "files": META, "allennlp": "2"}, r"AllenNLP 2 \(as given\)", True),
        (
            "2.1",
            {"time": NEW, "config_changes": {"iterator": {}}},
            r"AllenNLP 0\.x \(its config has an iterator\)",
            False,
        ),
        (
            "2.1",
            {"time": NEW, "config_changes": {"model.regularizer": [["x", "l2"]]}},
            r"AllenNLP 0\.x \(its regularizer is a list\)",
            False,
        ),
    ],
)
def test_the_age_decides_what_the_character_cnn_does(
    layout: str, given: dict[str, Any], made_by: str, masks: bool, tmp_path: Path, options: Path
) -> None:
    found = from_archive(tmp_path, options, "ner_elmo", layout, **given)
    assert re.search(made_by, found.made_by)
    assert masked(found) is masks


def test_what_the_character_cnn_does_changes_tags(tmp_path: Path, options: Path) -> None:
    old, new = (from_archive(tmp_path, options, "ner_elmo", "1.0", time=time).tagger for time in (OLD, NEW))
    assert tags(old) != tags(new)


def test_a_run_that_was_not_packed_has_times_too(tmp_path: Path, options: Path) -> None:
    run = unpacked(write_archive(tmp_path / "old.tar.gz"), tmp_path / "run")
    os.utime(run / "weights.th", (OLD, OLD))
    assert not masked(migrate(run, options_file=options))
    os.utime(run / "weights.th", (NEVER, NEVER))
    with pytest.raises(ConfigError, match="nothing in it tells which AllenNLP made it"):
        migrate(run, options_file=options)


def test_an_unknown_age_is_asked_for_only_where_it_counts(tmp_path: Path, options: Path) -> None:
    with pytest.raises(ConfigError, match=r"old.tar.gz: nothing in it tells.*--allennlp VERSION"):
        from_archive(tmp_path, options, "ner_elmo", "1.0", time=NEVER)
    assert from_archive(tmp_path, options, "fine_grained_ner", "1.0", time=NEVER).made_by == "an unknown AllenNLP"
    for version in ("x", "", "1.2.1.0.0 \n2", "-1"):
        with pytest.raises(ConfigError, match=r"expected a version of AllenNLP such as 0.9 or 1.2.1"):
            from_archive(tmp_path, options, allennlp=version)
    with pytest.raises(ArchiveError, match=r"meta.json: expected a version such as 2.10.1, received 3"):
        from_archive(tmp_path, options, files={"meta.json": b'{"version": 3}'})


# ---- the options of its biLM


def test_options_come_from_the_user_then_the_archive_then_the_published_ones(tmp_path: Path, options: Path) -> None:
    wide = {**OPTIONS, "lstm": {**OPTIONS["lstm"], "cell_clip": 0.01}}
    other = tmp_path / "other.json"
    other.write_text(json.dumps(wide))
    own, given = (from_archive(tmp_path, path, "ner_elmo", "0.9") for path in (None, other))
    held = [found.tagger.config.to_dict()["model"]["text_field_embedder"] for found in (own, given)]
    assert [each["token_embedders"]["elmo"]["options"]["lstm"]["cell_clip"] for each in held] == [3, 0.01]
    assert any(change.endswith(f"options added, from {other}") for change in given.changes)
    with pytest.raises(
        ConfigError,
        match=r"old.tar.gz: token_embedders.elmo: the options of its biLM are missing, .*options_file, or --options",
    ):
        from_archive(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        from_archive(tmp_path, tmp_path / "none.json")
    other.write_text("[]")
    with pytest.raises(OptionsError, match=r"other.json: expected a JSON object"):
        from_archive(tmp_path, other)
    other.write_text(json.dumps({**OPTIONS, "lstm": {**OPTIONS["lstm"], "dim": 8}}))
    with pytest.raises(LoadError, match=r"bilm.lstm.layers.0.B: expected shape \(2, 32\), received \(2, 28\)"):
        from_archive(tmp_path, other)


@pytest.mark.parametrize(("dim", "projection", "highways"), [(1024, 128, 1), (2048, 256, 1), (4096, 512, 2)])
def test_the_published_bilms_are_known_by_their_shapes(dim: int, projection: int, highways: int) -> None:
    filters = [(1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)]
    shapes = {
        f"bilm.char_cnn.convolutions.{n}.W_cnn": (1, *(width, 16, count)) for n, (width, count) in enumerate(filters)
    }
    shapes |= {f"bilm.char_cnn.highways.{n}.W_carry": (2048, 2048) for n in range(highways)}
    shapes |= {f"bilm.lstm.layers.{n}.W_P_0": (2, dim, projection) for n in range(2)}
    found = published_options({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, "")
    assert found is not None
    assert found.to_dict() == {
        "lstm": {
            "use_skip_connections": True,
            "projection_dim": projection,
            "cell_clip": 3,
            "proj_clip": 3,
            "dim": dim,
            "n_layers": 2,
        },
        "char_cnn": {
            "activation": "relu",
            "filters": [list(pair) for pair in filters],
            "n_highway": highways,
            "embedding": {"dim": 16},
            "n_characters": 262,
            "max_characters_per_token": 50,
        },
    }
    shapes["bilm.lstm.layers.0.W_P_0"] = (2, dim, projection + 1)
    assert published_options({name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, "") is None


# ---- what its config said


def test_each_change_is_told_in_a_line(tmp_path: Path) -> None:
    elmo, characters = f"{EMBEDDERS}.elmo", f"{EMBEDDERS}.token_characters"
    rows = len(vocabulary("ner_elmo")["token_characters"]) + 1
    embedder = "text_field_embedder.token_embedder_elmo."
    unused = [
        "model.dropout",
        f"{EMBEDDERS}.tokens.pretrained_file",
        f"{EMBEDDERS}.tokens.trainable",
        f"{elmo}.dropout",
        f"{elmo}.options_file",
        f"{elmo}.weight_file",
        "model.encoder.dropout",
        "model.encoder.input_size",
        "model.regularizer",
        "train_data_path",
        "trainer",
        "iterator",
    ]
    assert sorted(from_archive(tmp_path, None, "ner_elmo", "0.5").changes) == sorted(
        [
            "model.constraint_type BIOUL -> model.label_encoding",
            "model.text_field_embedder: tokens, elmo, token_characters moved into token_embedders",
            f"{elmo}.options added, from fta/model.text_field_embedder.elmo.options_file",
            f"{characters}: a sentence whose words are all shorter than its filters, at which AllenNLP failed, is "
            "tagged",
            f"{characters}.encoder.masks_padding false added: before AllenNLP 1.2.1 a word's vector depended on the "
            "longest word of its batch; here on that of its sentence, as if each sentence came alone",
            f"{characters}.embedding.num_embeddings {rows} added, as its weights have rows",
            f"weights: {embedder}_elmo -> {embedder}bilm, in bilm-tf's layout",
            f"{embedder}bilm: its state is not carried from batch to batch, as AllenNLP's was",
            *(f"{path} left out: tagging does not need it" for path in unused),
        ]
    )


def test_renamed_tensors_are_told(tmp_path: Path, options: Path) -> None:
    changes = from_archive(tmp_path, options, "fine_grained_ner", "0.9").changes
    told = [change for change in changes if ".cell." in change]
    assert len(told) == 12
    old, new = "encoder._module.backward_layer_1.state_linearity.bias", "backward_layer_1.cell.state_linearity.bias"
    assert f"weights: {old} -> encoder._module.{new}" in told


def test_an_archive_of_today_keeps_what_tags(tmp_path: Path, options: Path) -> None:
    """Nothing is told of an archive of this day but the biLM's names and what only training needs."""
    changes = from_archive(tmp_path, options, "fine_grained_ner", files=META).changes
    assert {change.split(": ")[-1] for change in changes if "elmo" not in change} == {"tagging does not need it"}


def test_embedders_read_the_indexers_that_the_map_says(tmp_path: Path, options: Path) -> None:
    plain = from_archive(tmp_path, options, "ner_elmo", "0.9").tagger
    changes: dict[str, Any] = {
        "dataset_reader.token_indexers": {
            "words": {"type": "single_id", "lowercase_tokens": True},
            "token_characters": {"type": "characters", "min_padding_length": 3},
            "elmo_chars": {"type": "elmo_characters"},
            "cached": {"type": "single_id"},
            "unread": {"type": "single_id"},
        },
        "model.text_field_embedder.embedder_to_indexer_map": {
            "tokens": ["words"],
            "elmo": ["elmo_chars", "cached"],
            "token_characters": {"token_characters": "token_characters"},
        },
        "model.text_field_embedder.allow_unmatched_keys": True,
        f"{EMBEDDERS}.elmo.namespace_to_cache": "tokens",
    }
    cached = {f"{ELMO}_elmo_lstm._word_embedding.weight": torch.zeros(4, 5)}
    found = from_archive(tmp_path, options, "ner_elmo", "0.9", config_changes=changes, weight_changes=cached)
    assert tags(found.tagger) == tags(plain)
    told = "\n".join(found.changes)
    assert "dataset_reader.token_indexers.words -> tokens, as embedder_to_indexer_map says" in told
    assert "dataset_reader.token_indexers.unread left out: no embedder reads it" in told
    assert "namespace_to_cache left out: all words' vectors come from their characters" in told
    assert "_word_embedding.weight left out" in told
    for wrong in (["words", "cached"], [], 3, [None]):
        changes["model.text_field_embedder.embedder_to_indexer_map"]["tokens"] = wrong
        with pytest.raises(ConfigError, match=r"embedder_to_indexer_map.tokens: expected"):
            from_archive(tmp_path, options, "ner_elmo", "0.9", config_changes=changes)


def test_the_scheme_of_an_archive_without_constraints_is_its_readers(tmp_path: Path) -> None:
    changes = {"model.constraint_type": None}
    unconstrained = {"crf._constraint_mask": torch.ones_like(weights("ner_elmo")["crf._constraint_mask"])}
    found = from_archive(tmp_path, None, "ner_elmo", "0.5", config_changes=changes, weight_changes=unconstrained)
    assert "model.label_encoding BIOUL added, from dataset_reader.coding_scheme" in found.changes
    assert found.tagger.labels == ["LOC", "MISC", "ORG", "PER"]
    assert not all(is_well_formed(each, "BIOUL") for each in tags(found.tagger))
    changes["dataset_reader.coding_scheme"] = None
    found = from_archive(tmp_path, None, "ner_elmo", "0.5", config_changes=changes, weight_changes=unconstrained)
    assert found.tagger.labels == []
    assert any("nothing says the scheme of its tags" in change for change in found.changes)


def test_constraints_that_the_weights_lack_come_from_the_scheme(tmp_path: Path) -> None:
    plain = from_archive(tmp_path, None, "ner_elmo", "0.5").tagger
    found = from_archive(tmp_path, None, "ner_elmo", "0.5", weight_changes={"crf._constraint_mask": None})
    assert tags(found.tagger) == tags(plain)
    assert "weights: crf._constraint_mask added: the rules of BIOUL" in found.changes


def test_the_first_name_of_the_encoder_is_read(tmp_path: Path) -> None:
    plain = from_archive(tmp_path, None, "fine_grained_ner", "0.5").tagger
    tensors: dict[str, torch.Tensor | None] = {}
    for name, tensor in weights("fine_grained_ner").items():
        if name.startswith("encoder."):
            tensors |= {name.replace(".cell.", "."): None, f"stacked_{name.replace('.cell.', '.')}": tensor}
    found = from_archive(
        tmp_path,
        None,
        "fine_grained_ner",
        "0.5",
        config_changes={"model.stacked_encoder": config("fine_grained_ner")["model"]["encoder"], "model.encoder": None},
        weight_changes=tensors,
    )
    assert tags(found.tagger) == tags(plain)


# ---- what is refused


WRONG_CONFIGS: list[tuple[str, Any, str]] = [
    (
        "model.type",
        "srl",
        "model.type: expected a tagger, one of crf_tagger.*received 'srl': the engine does not have it; `allennlp",
    ),
    ("model.type", ["x"], r"model.type: expected a tagger.*received \['x'\]"),
    ("model.encoder.type", "alternating_lstm", "received 'alternating_lstm', expected one of"),
    ("model.text_field_embedder", 3, "model.text_field_embedder: expected an object, received 3"),
    (EMBEDDERS, [1], r"token_embedders: expected an object, received \[1\]"),
    (f"{EMBEDDERS}.elmo", 3, "elmo: expected an object, received 3"),
    (f"{EMBEDDERS}.token_characters.encoder", 7, "encoder: expected an object, received 7"),
    (f"{EMBEDDERS}.token_characters.encoder.ngram_filter_sizes", 3, "expected a list, received 3"),
    ("dataset_reader.token_indexers", [3], "token_indexers: expected an object"),
    ("validation_dataset_reader", 3, "validation_dataset_reader: expected an object, received 3"),
    ("model.label_encoding", "BIO", "tag 3 of the vocabulary, 'U-PER', is no BIO tag"),
    ("model.label_encoding", ["BIO"], r"label_encoding: expected a string, received \['BIO'\]"),
    ("model.label_namespace", "x", "model.label_namespace: the vocabulary has no 'x', only labels"),
    ("model.label_namespace", 3, "model.label_namespace: expected a string, received 3"),
]
_CNN = f"{ELMO}_elmo_lstm._token_embedder."
WRONG_WEIGHTS: list[tuple[str, torch.Tensor | None, str]] = [
    ("new.part", torch.zeros(2), r"new.part, of shape \(2,\), is foreign"),
    (f"{ELMO}_elmo_lstm.x", torch.zeros(3), r"_elmo._elmo_lstm.x, of shape \(3,\), is foreign"),
    (f"{ELMO}_elmo_lstm._elmo_lstm.x", torch.zeros(3), r"_elmo_lstm._elmo_lstm.x, of shape \(3,\), is foreign"),
    (f"{_CNN}x", torch.zeros(3), r"_elmo._elmo_lstm._token_embedder.x, of shape \(3,\), is foreign"),
    (f"{_CNN}_projection.bias", None, "expected the weights of AllenNLP's embedder: '_projection.bias'"),
    ("crf.transitions", None, r"crf.transitions is missing, expected with shape \(17, 17\)"),
    ("crf.transitions", torch.zeros(3, 3), r"expected shape \(17, 17\), received \(3, 3\)"),
]
WRONG_FILES: list[tuple[str, bytes | None, str]] = [
    (
        "vocabulary/token_characters.txt",
        b"\n".join(b"%d" % number for number in range(2000)),
        "token_characters.embedding: expected 2001 embeddings, as .token_characters. has in the vocabulary, not ",
    ),
    ("vocabulary/labels.txt", b"O\nB-PER", r"tag_projection_layer.*expected shape \(2,"),
    ("vocabulary/labels.txt", None, "the vocabulary has no 'labels', only token_characters, tokens"),
    ("vocabulary/labels.txt", b"\xff", "vocabulary/labels.txt: expected UTF-8"),
    ("vocabulary/non_padded_namespaces.txt", b"\xff", "vocabulary/non_padded_namespaces.txt: expected UTF-8"),
    ("vocabulary/non_padded_namespaces.txt", None, "expected non_padded_namespaces.txt in it"),
    ("config.json", b"{", "config.json: expected a JSON object"),
    ("weights.th", b"PK", "weights.th: expected weights as PyTorch stores tensors"),
    ("weights.th", None, r"expected a file weights\.th in it"),
]


@pytest.mark.parametrize(
    ("kind", "name", "value", "message"),
    [
        *(("config_changes", *each) for each in WRONG_CONFIGS),
        *(("weight_changes", *each) for each in WRONG_WEIGHTS),
        *(("files", *each) for each in WRONG_FILES),
    ],
)
def test_what_cannot_be_read_is_one_line(
    kind: str, name: str, value: Any, message: str, tmp_path: Path, options: Path
) -> None:
    with pytest.raises(ElmoTaggerError, match=message) as caught:
        from_archive(tmp_path, options, **{kind: {name: value}})
    assert "\n" not in str(caught.value)


def test_a_simple_tagger_with_a_crf_is_none(tmp_path: Path, options: Path) -> None:
    with pytest.raises(LoadError, match="expected no crf in the weights of a simple_tagger"):
        from_archive(tmp_path, options, config_changes=SIMPLE)


def places(value: Any, path: str = "") -> Iterator[str]:
    """The dotted paths of all values in an object."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}{key}"
            yield from places(inner, f"{path}{key}.")


@pytest.mark.parametrize("layout", ["0.5", "2.1"])
def test_no_value_of_a_config_is_more_than_an_error(layout: str, tmp_path: Path, options: Path) -> None:
    run = unpacked(write_archive(tmp_path / "old.tar.gz", "ner_elmo", layout), tmp_path / "run")
    raw = (run / "config.json").read_text()
    messages = []
    for path, value in zip(places(json.loads(raw)), itertools.cycle(ODD), strict=False):
        (run / "config.json").write_text(json.dumps(changed(json.loads(raw), {path: value})))
        messages.append(refusal(run, options))
    refused = [message for message in messages if message is not None]
    assert len(refused) > 15
    assert not any("\n" in message for message in refused)


ODD = (3, "x", [], {}, [[1]], {"type": "x"}, True, -1, {"x": None})


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder


def refusal(source: Path, options: Path) -> str | None:
    """Why an archive is refused, if it is."""
    try:
        migrate(source, options_file=options)
    except ElmoTaggerError as error:
        return str(error)
    return None


def test_options_in_the_archive_that_are_none_are_named(tmp_path: Path) -> None:
    member = "fta/model.text_field_embedder.elmo.options_file"
    for content, message in ((b"[]", "expected a JSON object"), (b'{"lstm": {}}', "char_cnn is missing")):
        with pytest.raises(ElmoTaggerError, match=f"old.tar.gz: {member}: {message}"):
            from_archive(tmp_path, None, "ner_elmo", "0.5", files={member: content})


def test_what_is_migrated_already_is_named(tmp_path: Path, options: Path) -> None:
    from_archive(tmp_path, options).tagger.save(tmp_path / "new")
    with pytest.raises(LoadError, match=r"new: is a model folder already: expected an archive"):
        migrate(tmp_path / "new")
