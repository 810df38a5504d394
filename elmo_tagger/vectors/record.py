"""What an output was made of, noted in it, and compared before it is continued or taken for complete."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from elmo_tagger.vectors.partial_file import OutputError
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.windows import Window


class Seen:
    """The sentences so far: their number and a hash."""

    def __init__(self) -> None:
        self.sentences = 0
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, window: Window) -> None:
        """Take note of a window."""
        for sentence in window.sentences:
            self._digest.update("\0".join(sentence.tokens).encode("utf-8", "surrogatepass") + b"\n\0")
        self.sentences += len(window.sentences)

    def hexdigest(self) -> str:
        """Of their words; the windows they came in do not matter."""
        return self._digest.hexdigest()


def state_of(settings: Mapping[str, Any], seen: Seen) -> dict[str, Any]:
    """What is noted: JSON values."""
    return {"settings": dict(settings), "sentences": seen.sentences, "digest": seen.hexdigest()}


def check_settings(before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse to continue with other settings.

    Raises:
        OutputError: They differ; names each with both values.
    """
    changed = [name for name in settings if before.get(name) != settings[name]]
    if changed:
        differences = "; ".join(f"{name} was {before.get(name)!r}, is {settings[name]!r}" for name in changed)
        raise OutputError(f"the earlier run had other settings: {differences}: expected the same to --resume")


def check_complete(source: SentenceSource, state: Mapping[str, Any], *, settings: Mapping[str, Any]) -> None:
    """Make sure that a complete output is what this run would write; reads the whole input.

    Args:
        source: The input.
        state: As of `state_of`, from the output.
        settings: See `job.settings`.

    Raises:
        OutputError: It was made with other settings or of another input.
        DataError: A line of the input is wrong.
        OSError: The input cannot be read.
    """
    check_settings(state["settings"], settings)
    seen = Seen()
    for sentence in source.read():
        seen.add(Window(seen.sentences, [sentence]))
    if (seen.sentences, seen.hexdigest()) != (state["sentences"], state["digest"]):
        raise OutputError(
            f"{source.name}: its {seen.sentences} sentences are not the {state['sentences']} that the earlier run has "
            "written: expected the same input to --resume"
        )


def another_input(source: SentenceSource, done: int) -> OutputError:
    """The error of an input that does not begin with the sentences that are done."""
    return OutputError(
        f"{source.name}: its first {done} sentences are not those that the earlier run has written: expected the "
        "same input to --resume"
    )
