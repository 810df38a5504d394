"""What `elmo-tagger tag` writes: coloured text, JSON lines, columns, a table of entities, or a page for a browser."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any
from zlib import crc32

from elmo_tagger.cli.tag_inputs import Item
from elmo_tagger.errors import escaped
from elmo_tagger.tagger import Document
from elmo_tagger.text.columns import write_columns
from elmo_tagger.text.formats.csv_files import line_of
from elmo_tagger.text.outputs import OutputError, Target, new_file
from elmo_tagger.text.sentence import Sentence

Tagged = Iterable[tuple[Item, Document]]
Writer = Callable[[Tagged, Target], None]

_COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red")


def write_json_lines(tagged: Tagged, path: Target) -> None:
    """One object a document: what `Document.to_json` gives."""
    with new_file(path) as file:
        for _, document in tagged:
            file.write(_json(document))


def print_json_lines(tagged: Tagged) -> None:
    """As `write_json_lines`, to standard output, each line as soon as it is known."""
    sys.stdout.flush()
    for _, document in tagged:
        sys.stdout.buffer.write(_json(document))
        sys.stdout.buffer.flush()


def _json(document: Document) -> bytes:
    try:
        return (json.dumps(document.to_json(), ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can hold as an escape
        return (json.dumps(document.to_json()) + "\n").encode()


def write_conll(tagged: Tagged, path: Target) -> None:
    """A token and its tag a line; with tabs between them in a file named .tsv."""
    separator = "\t" if Path(path).suffix.lower() == ".tsv" else " "
    write_columns(_sentences(tagged), path, separator=separator)


def _sentences(tagged: Tagged) -> Iterator[Sentence]:
    for item, document in tagged:
        for first, last in document.sentences:
            tokens, tags = document.tokens[first:last], document.tags[first:last]
            yield Sentence(tokens, tags, item.path, [item.line] * len(tokens), item.number)


def write_csv(tagged: Tagged, path: Target) -> None:
    """A row an entity: its file, the line that its document begins at, type, text, offsets and confidence."""
    with new_file(path) as file:
        file.write(line_of(["file", "line", "type", "text", "start", "end", "confidence"]).encode())
        for item, document in tagged:
            for each in document.entities:
                cells = [item.path, item.line, each.type, each.text, each.start, each.end, each.confidence]
                file.write(line_of(cells).encode(errors="replace"))


def write_html(tagged: Tagged, path: Target) -> None:
    """One page with the texts, their entities marked, and how many there are of each type."""
    counts: Counter[str] = Counter()
    with new_file(path) as file:

        def write(text: str) -> None:
            file.write(text.encode(errors="replace"))

        write(_HEAD)
        for item, document in tagged:
            counts.update(entity.type for entity in document.entities)
            where = escape(f"{item.path}:{item.line}" if item.line else item.path)
            write(f'<p class="where">{where}</p><div class="text">{_marked(document)}</div>\n')
        rows = "".join(
            f"<li>{_mark(name, name)} {count:,}</li>"
            for name, count in sorted(counts.items(), key=lambda pair: -pair[1])
        )
        write(f"<h2>Entities</h2><ul>{rows or '<li>none</li>'}</ul></main></body></html>\n")


def _marked(document: Document) -> str:
    parts, done = [], 0
    for entity in document.entities:
        parts.append(escape(document.text[done : entity.start]))
        title = f"{entity.type}, {entity.confidence:.2f}"
        parts.append(_mark(entity.text, entity.type, label=entity.type, title=title))
        done = entity.end
    return "".join([*parts, escape(document.text[done:])])


def _mark(text: str, entity_type: str, *, label: str = "", title: str = "") -> str:
    hue = crc32(entity_type.encode(errors="replace")) % 360
    small = f"<small>{escape(label)}</small>" if label else ""
    return f'<mark style="--hue:{hue}" title="{escape(title)}">{escape(text)}{small}</mark>'


_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Entities</title><style>
:root { color-scheme: light dark; --page: #f7f7f5; --card: #fff; --ink: #1d2126; --soft: #5c6670; }
:root { --light: 86%; --deep: 28%; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171a; --card: #1d2125; --ink: #e6e8ea; --soft: #9aa4ae; --light: 26%; --deep: 84%; }
}
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.9 system-ui, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 24px 20px 64px; }
.text { background: var(--card); border-radius: 8px; padding: 12px 16px; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.where { color: var(--soft); font-size: 12px; margin: 18px 0 4px; overflow-wrap: anywhere; }
mark { background: hsl(var(--hue) 70% var(--light)); color: hsl(var(--hue) 60% var(--deep)); }
mark { border-radius: 5px; padding: 2px 5px; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
mark small { font-size: 11px; font-weight: 600; margin-left: 5px; white-space: nowrap; }
</style></head><body><main>
"""


def print_coloured(tagged: Tagged, *, console: Any = None) -> None:
    """The texts on a terminal, entities in the colour of their type, with how sure they are; n-best lists below."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    below = 0  # the line that follows the last document
    for item, document in tagged:
        if below and item.line > below:
            console.print()
        below = item.line + document.text.count("\n") + 1
        shown, done = Text(), 0
        for entity in document.entities:
            colour = _COLOURS[crc32(entity.type.encode(errors="replace")) % len(_COLOURS)]
            shown.append(_for_terminal(document.text[done : entity.start]))
            shown.append(_for_terminal(entity.text), style=f"bold {colour}")
            shown.append(f" {escaped(entity.type)} {entity.confidence:.2f}", style=f"dim {colour}")
            done = entity.end
        shown.append(_for_terminal(document.text[done:]))
        for taggings in document.n_best:
            for tagging in taggings:
                shown.append(f"\n  {tagging.probability:.4f} {escaped(' '.join(tagging.tags))}", style="dim")
        console.print(shown, soft_wrap=True, highlight=False)


def _for_terminal(text: str) -> str:
    return "\n".join(map(escaped, text.split("\n")))


WRITERS: dict[str, Writer] = {
    ".jsonl": write_json_lines,
    ".ndjson": write_json_lines,
    ".conll": write_conll,
    ".iob": write_conll,
    ".bio": write_conll,
    ".tsv": write_conll,
    ".csv": write_csv,
    ".html": write_html,
}
"""By the ending of a file's name, without `.gz` or `.xz`."""


def writer_of(path: str) -> Writer:
    """What writes a file of this name.

    Raises:
        OutputError: Its ending says nothing.
    """
    file = Path(path)
    suffix = (file.with_suffix("") if file.suffix.lower() in (".gz", ".xz") else file).suffix.lower()
    if suffix not in WRITERS:
        raise OutputError(f"{path}: expected a name that ends in one of {', '.join(WRITERS)}")
    return WRITERS[suffix]
