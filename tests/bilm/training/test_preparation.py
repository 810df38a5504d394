from __future__ import annotations

import gzip
import lzma
import os
from pathlib import Path

import numpy as np
import pytest

from elmo_tagger.bilm.training import Corpus, CorpusError, WorkerDiedError, count_words, prepare, prepared
from elmo_tagger.bilm.training import corpus as corpus_module
from elmo_tagger.bilm.training.parallel import map_in_order
from elmo_tagger.text.files import DataError
from tests.bilm.training.texts import SENTENCES, corpus_of, write


def sentences_of(corpus: Corpus, part: str = "all", hold_out: float = 0.0) -> list[str]:
    spans = corpus.sentences(part, hold_out)
    return [
        " ".join(corpus.words[word] for word in corpus.tokens[start : start + length])
        for start, length in zip(spans.starts, spans.lengths, strict=True)
    ]


def test_a_prepared_text_is_the_text(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    assert sentences_of(corpus) == SENTENCES
    words = " ".join(SENTENCES).split()
    assert {corpus.words[i]: int(count) for i, count in enumerate(corpus.counts) if i > 1} == {
        word: words.count(word) for word in words
    }
    assert corpus.words[:2] == ["<S>", "</S>"]


def test_the_bytes_depend_on_the_text_alone(tmp_path: Path) -> None:
    """Not on the packing of its files, on blocks, or on processes."""
    plain = write(tmp_path / "a.txt", SENTENCES[:3]), write(tmp_path / "b.txt", SENTENCES[3:])
    (tmp_path / "a.gz").write_bytes(gzip.compress(plain[0].read_bytes()))
    (tmp_path / "b.xz").write_bytes(lzma.compress(b"\xef\xbb\xbf\n \n" + plain[1].read_bytes()[:-1]))
    checksums = {
        prepare(plain, tmp_path / "1").checksum,
        prepare(plain, tmp_path / "2", block_bytes=7).checksum,
        prepare([tmp_path / "a.gz", tmp_path / "b.xz"], tmp_path / "3", block_bytes=20).checksum,
        prepare(plain, tmp_path / "4", block_bytes=30, workers=2).checksum,
    }
    assert len(checksums) == 1


def test_progress_ends_at_the_files_sizes(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.txt", SENTENCES), tmp_path / "b.xz"]
    files[1].write_bytes(lzma.compress(files[0].read_bytes()))
    seen: list[tuple[int, int]] = []
    prepare(files, tmp_path / "prepared", report=lambda *place: seen.append(place), block_bytes=50)
    assert seen == sorted(seen)
    assert seen[-1] == (sum(file.stat().st_size for file in files), 2 * len(" ".join(SENTENCES).split()))


def test_a_line_of_100_000_tokens(tmp_path: Path) -> None:
    corpus = prepare([write(tmp_path / "long", [" ".join(map(str, range(100_000))), "short"])], tmp_path / "prepared")
    assert corpus.lengths.tolist() == [100_000, 1]
    pieces = corpus.sentences().cut(30_000)
    assert pieces.lengths.tolist() == [30_000, 30_000, 30_000, 10_000, 1]
    assert pieces.starts.tolist() == [0, 30_000, 60_000, 90_000, 100_000]


@pytest.mark.parametrize("block_bytes", [8, 1 << 20])
@pytest.mark.parametrize(
    "read", [lambda f, d, b: prepare([f], d, block_bytes=b), lambda f, d, b: count_words([f], block_bytes=b)]
)
def test_what_is_not_utf8_is_told_with_its_place(read, block_bytes: int, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Nell sat .\n\nThé cat\r\nThe \xff dog\n".encode("latin-1").replace(b"\xe9", b"e"))
    with pytest.raises(DataError) as error:
        read(tmp_path / "a.txt", tmp_path / "prepared", block_bytes)
    assert str(error.value) == (
        f"{tmp_path / 'a.txt'}:4: invalid utf-8: byte 0xff at offset 25 of the file, byte 5 of the line; "
        "it looks like cp1252: convert it to utf-8 (iconv -f cp1252 -t utf-8), or name cp1252 where an encoding can "
        "be given"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_unreadable_text_is_refused_and_leaves_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(CorpusError, match=r"empty\.txt: expected text: there is no token in it$"):
        prepare([tmp_path / "empty.txt"], tmp_path / "prepared")
    (tmp_path / "cut.xz").write_bytes(lzma.compress(b"Nell sat .\n" * 1000)[:60])
    with pytest.raises(OSError, match=r"cut\.xz: the compressed file is cut off or damaged \(.+\)$"):
        prepare([tmp_path / "cut.xz"], tmp_path / "prepared")
    with pytest.raises(FileNotFoundError):
        prepare([tmp_path / "none.txt"], tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = write(tmp_path / "a.txt", SENTENCES)

    def full(directory: Path) -> str:
        raise OSError(28, "No space left on device", str(directory))

    monkeypatch.setattr(corpus_module, "checksum", full)
    with pytest.raises(OSError, match="No space left on device"):
        prepare([text], tmp_path / "prepared")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(WorkerDiedError, match=r"^one of 2 worker processes ended before its work was done; if memory"):
        list(map_in_order(os._exit, [9], workers=2))


def test_damage_is_found(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path)
    assert Corpus.open(corpus.directory).checksum == corpus.checksum
    words = corpus.directory / corpus_module.WORDS_NAME
    whole = words.read_bytes()
    words.write_bytes(whole.replace(b"cat", b"rat"))
    with pytest.raises(
        CorpusError, match=f"expected files with the checksum {corpus.checksum} of index.json, received"
    ):
        Corpus.open(corpus.directory)
    words.write_bytes(whole)
    tokens = corpus.directory / corpus_module.TOKENS_NAME
    tokens.write_bytes(tokens.read_bytes()[:-2])
    size = 4 * len(corpus.tokens)
    with pytest.raises(CorpusError, match=f"tokens.u32: expected {size} bytes, received {size - 2}: the file is cut"):
        Corpus.open(corpus.directory)
    (corpus.directory / corpus_module.INDEX_NAME).write_text("[]")
    with pytest.raises(
        CorpusError, match=r"index\.json: expected the index of a prepared text, format 'elmo_tagger lm"
    ):
        Corpus.open(corpus.directory)
    (corpus.directory / corpus_module.INDEX_NAME).write_text("{")
    with pytest.raises(CorpusError, match=r"index\.json: expected the index of a prepared text: Expecting property"):
        Corpus.open(corpus.directory)


def test_a_text_is_prepared_once_and_again_when_it_changes(tmp_path: Path) -> None:
    text = write(tmp_path / "a.txt", SENTENCES)
    first = prepared([text], tmp_path / "kept")
    index = first.directory / corpus_module.INDEX_NAME
    before = index.stat().st_mtime_ns
    assert prepared([text], tmp_path / "kept").directory == first.directory
    assert prepared([first.directory], tmp_path / "elsewhere").checksum == first.checksum
    assert index.stat().st_mtime_ns == before
    write(text, SENTENCES[:2])
    assert sentences_of(prepared([text], tmp_path / "kept")) == SENTENCES[:2]


def test_held_out_sentences_are_the_last_of_each_file(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.txt", SENTENCES[:4]), write(tmp_path / "b.txt", SENTENCES[4:])]
    corpus = prepare(files, tmp_path / "prepared")
    assert sentences_of(corpus, "held_out", 0.3) == [*SENTENCES[2:4], SENTENCES[5]]
    assert sentences_of(corpus, "train", 0.3) == [*SENTENCES[:2], SENTENCES[4]]
    assert sentences_of(corpus, "train", 0.0) == SENTENCES
    with pytest.raises(ValueError, match=r"^part: expected one of all, train, held_out, received 'test'$"):
        corpus.sentences("test")
    with pytest.raises(
        ValueError, match=r"^hold_out: expected a share of the sentences, 0 or more and below 1, received"
    ):
        corpus.sentences("train", 1.0)


def test_tokens_are_apart_by_ascii_white_space(tmp_path: Path) -> None:
    corpus = prepare([write(tmp_path / "a.txt", ["a\tb  c\u00a0d \r", "e\x0cf\u2028g"])], tmp_path / "prepared")
    assert corpus.words[2:] == ["a", "b", "c\u00a0d", "e", "f\u2028g"]
    assert np.array_equal(corpus.lengths, [3, 2])
