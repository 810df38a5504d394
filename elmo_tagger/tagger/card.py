"""The card of a model: what a reader of its `README.md` learns of its data, scores, labels and licence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

_SCORES = ("best_validation_f1-measure-overall", "test_f1-measure-overall")
_CALIBRATED = "Confidences calibrated"
_DATA = ("train_data_path", "validation_data_path", "test_data_path")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What is known of a tagger beside what it is made of.

    Attributes:
        data: What it was trained on.
        scores: By name; F1 in [0, 1].
        license: An identifier such as "cc-by-4.0"; None if nobody said.
        notes: What else a user should know, each a line.
        sections: What somebody wrote for the `README.md`, in Markdown, from its first heading of the second level on.
    """

    data: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    license: str | None = None
    notes: tuple[str, ...] = ()
    sections: str = ""

    @classmethod
    def of_training(cls, config: Mapping[str, Any], metrics: Mapping[str, Any]) -> Card:
        """What a training says of itself.

        Args:
            config: Its config; of paths the names of the files are taken.
            metrics: Its `metrics.json`; empty if there is none, as in an archive.
        """
        data = (config.get(key) for key in _DATA)
        scores = {key: metrics.get(key) for key in _SCORES}
        return cls(
            data=tuple(PurePath(path).name for path in data if isinstance(path, str)),
            scores={key: score for key, score in scores.items() if isinstance(score, float)},
        )

    def calibrated(self, *, temperature: float, sentences: int) -> Card:
        """The card of the tagger with another temperature."""
        found = f"{_CALIBRATED} on {sentences:,} sentences: temperature {temperature:.4f}."
        others = (note for note in self.notes if not note.startswith(_CALIBRATED))
        return replace(self, notes=(*others, f"{found} What else this card may say of calibration is older."))


def sections_of(readme: str) -> str:
    """The sections of a `README.md`: all from its first heading of the second level on; empty if it has none.

    What stands before them is about the folder that it lies in, and `render` writes it anew.
    """
    lines = readme.splitlines(keepends=True)
    in_code = False
    for number, line in enumerate(lines):
        in_code ^= line.startswith("```")
        if line.startswith("## ") and not in_code:
            return "".join(lines[number:])
    return ""


def render(card: Card, *, language: str, labels: Sequence[str], library: str) -> str:
    """The text of a `README.md`, with the header that model hubs read.

    Args:
        card: What is known.
        language: Of its texts, spaCy's code.
        labels: The types of entities that it finds.
        library: The package and its version.
    """
    header = {"library_name": "elmo_tagger", "pipeline_tag": "token-classification"}
    if language != "xx":  # spaCy's code for many languages is none
        header["language"] = language
    if card.license is not None:
        header["license"] = card.license
    header_lines = [f"{key}: {json.dumps(value)}" for key, value in header.items()]
    scores = ["| score | |", "|---|---|", *(f"| {name} | {score:.4f} |" for name, score in card.scores.items())]
    unknown = [] if card.sections else ["Scores: not known."]
    return "\n".join(
        [
            "---",
            *header_lines,
            "tags: [named-entity-recognition, elmo, crf]",
            "---",
            "",
            "# A tagger of elmo_tagger",
            "",
            "```python",
            "import elmo_tagger",
            "",
            'tagger = elmo_tagger.load("this/folder")',
            'print(tagger("A sentence.").entities)',
            "```",
            "",
            f"- Labels: {', '.join(labels) or 'its tags have no scheme, so it finds no entities'}",
            f"- Data: {', '.join(card.data) or 'not known'}",
            f"- Licence: {card.license or 'not known; ask whoever trained it'}",
            f"- Written by: {library}",
            "",
            *(["Notes:", "", *(f"- {note}" for note in card.notes), ""] if card.notes else []),
            *(scores if card.scores else unknown),
            *([""] if card.sections and card.scores else []),
            card.sections,
        ]
    )
