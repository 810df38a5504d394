import random
from pathlib import Path

import pytest

from elmo_tagger.text.tokenize import Tokenizer
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.slices import slices
from elmo_tagger.vectors.windows import windows


@pytest.mark.parametrize("batch_tokens", [1, 3, 10, 1000])
@pytest.mark.parametrize("layout", ["text", "jsonl", "raw"])
def test_every_window_is_found_by_its_place(layout: str, batch_tokens: int, tmp_path: Path) -> None:
    generator = random.Random(1)
    lines = [" ".join(["Wörd"] * generator.randrange(0, 12)) for _ in range(80)]
    tokenizer = None
    if layout == "jsonl":
        lines = [f'{{"text": "{line}"}}' for line in lines]
    elif layout == "raw":  # paragraphs of many sentences, some of which are longer than a window
        lines = [f"Yes. {line.replace(' ', '! ')} ." if generator.random() < 0.7 else "" for line in lines]
        tokenizer = Tokenizer()
    (tmp_path / "in").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = SentenceSource(
        path=str(tmp_path / "in"), layout="text" if layout == "raw" else layout, tokenizer=tokenizer
    )
    expected = list(windows(source.read(), max_tokens=4 * batch_tokens))
    found = list(slices(source, batch_tokens=batch_tokens))
    assert len(found) == len(expected)
    for number, (each, window) in enumerate(zip(found, expected, strict=True)):
        assert (each.number, each.first, each.tokens) == (number, window.first, window.tokens)
        assert each.digest == window.digest
        assert each.read(source).sentences == window.sentences
