from __future__ import annotations

from pathlib import Path

import pytest

from elmo_tagger.corpus.sources import open_source
from elmo_tagger.text.formats import FileOptions

ROWS = {
    "conll2003": (
        "".join(f"EU{i} NNP I-NP I-ORG\nrejects{i} VBZ I-VP O\ncall{i} NN I-NP O\n\n" for i in range(35)),
        ("tokens", "labels", "tags", "tags"),
    ),
    "two columns": ("EU\tB-ORG\nrejects\tO\n\n", ("tokens", "tags")),
    "tags first": ("B-ORG EU\nO rejects\nO calls\n\n", ("tags", "tokens")),
    "numbered": ("1 EU O\n2 rejects O\n3 calls O\n\n", ("numbers", "tokens", "tags")),
    "tokens alone": ("EU\nrejects\n", ("tokens",)),
    "word segmentation": ("a B\nb E\nc S\n\n", ("tokens", "tags")),
    "a ragged line": ("EU B-ORG\nrejects\ncalls O\nagain O\n", ("tokens", "tags")),
    "marker": ("-DOCSTART- -X- O\n\nEU NNP O\nrejects VBZ O\n", ("tokens", "words", "tags")),
}


@pytest.mark.parametrize("name", ROWS)
def test_columns_are_told_by_what_they_hold(name: str, tmp_path: Path) -> None:
    text, expected = ROWS[name]
    path = tmp_path / "data.conll"
    path.write_text(text, encoding="utf-8")
    source = open_source(str(path), FileOptions(format="columns"))
    assert source.columns == expected
    assert source.columns[source.options.token_column or 0] == "tokens"
    assert source.options.tag_column == (
        max(i for i, role in enumerate(expected) if role == "tags") if "tags" in expected else None
    )


def test_tokens_may_hold_spaces_where_tabs_part_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "data.tsv"
    path.write_text("New York\tB-LOC\nis\tO\nbig today\tO\n", encoding="utf-8")
    for separator in ("\t", None):
        source = open_source(str(path), FileOptions(separator=separator))
        assert (source.columns, source.options.separator) == (("tokens", "tags"), "\t")


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert open_source(str(path)).columns == ()
