"""Which word, character or tag has which id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elmo_tagger.errors import shown
from elmo_tagger.tagger.json_fields import ConfigError

PADDING_TOKEN = "@@PADDING@@"
UNKNOWN_TOKEN = "@@UNKNOWN@@"
"""AllenNLP's names for what fills a batch and for what the vocabulary lacks."""
PADDING = 0
"""The id of padding, of characters and words alike."""


@dataclass(frozen=True)
class Namespace:
    """The tokens of one kind, in the order of their ids.

    Attributes:
        tokens: By id. Namespaces of words and characters begin with padding and unknown, those of tags do not.
    """

    tokens: Sequence[str]

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def ids(self) -> dict[str, int]:
        """The id of each token; the last one counts where a token is repeated, as in AllenNLP."""
        return {token: number for number, token in enumerate(self.tokens)}

    def encode(self, tokens: Iterable[str], *, any_case: bool = False) -> list[int]:
        """The ids of tokens, above 0; that of the unknown token for one that is missing, or spelt like padding.

        Args:
            tokens: The tokens.
            any_case: Whether a missing one has the id that `id_in_any_case` finds.
        """
        get = self.ids.get
        unknown = get(UNKNOWN_TOKEN, 1)
        if any_case:
            return [get(token) or id_in_any_case(self.ids, token) or unknown for token in tokens]
        return [get(token) or unknown for token in tokens]


def id_in_any_case(ids: Mapping[str, int], word: str) -> int | None:
    """The id of a word in lower case, else capitalised, else in upper case; None where all are missing."""
    spelling = _spelling(ids, word)
    return None if spelling is None else ids[spelling]


def truecase(ids: Mapping[str, int], words: Sequence[str]) -> Sequence[str]:
    """A sentence all in capital or all in small letters, as a vocabulary spells its words.

    GERMANY BEAT BRAZIL, which a biLM has hardly ever read, becomes Germany beat Brazil. A word that the vocabulary
    lacks is taken in small letters.

    Args:
        ids: The vocabulary.
        words: The sentence. It is given back as it is if it has capital and small letters, or fewer than three words
            with letters that have case, since a line such as `IBM UK` may be meant so.
    """
    cased = [word for word in words if word.lower() != word.upper()]
    if len(cased) < _ENOUGH_TO_JUDGE:
        return words
    if any(word != word.upper() for word in cased) and any(word != word.lower() for word in cased):
        return words
    return [_spelling(ids, word) or word.lower() for word in words]


_ENOUGH_TO_JUDGE = 3


def _spelling(ids: Mapping[str, int], word: str) -> str | None:
    """How the vocabulary spells a word: in lower case, else capitalised, else in upper case; None if not at all."""
    return next((form for form in (word.lower(), word.capitalize(), word.upper()) if ids.get(form)), None)


Vocabulary = Mapping[str, Namespace]
"""Namespaces by name."""


def find_namespace(vocabulary: Vocabulary, name: str, where: str) -> Namespace:
    """A namespace by its name.

    Args:
        vocabulary: The namespaces.
        name: The one that is looked for.
        where: The place in the config that asks for it, for messages.

    Raises:
        ConfigError: There is none of that name.
    """
    if name not in vocabulary:
        known = ", ".join(sorted(vocabulary)) or "nothing"
        raise ConfigError(f"{where}: the vocabulary has no {shown(name)}, only {known}")
    return vocabulary[name]


def read_vocabulary(directory: Path, *, unknown: str = UNKNOWN_TOKEN) -> Vocabulary:
    """The vocabulary that AllenNLP wrote into a directory.

    Args:
        directory: With a file for each namespace, and one that lists those without padding, `*tags` meaning all names
            that end so.
        unknown: How the files call the unknown token.

    Raises:
        ConfigError: It is not there, or not in UTF-8.
        OSError: A file cannot be read.
    """
    listed = directory / "non_padded_namespaces.txt"
    if not listed.is_file():
        raise ConfigError(f"{directory.name}: expected {listed.name} in it, as AllenNLP writes")
    patterns = _text(listed).split()
    vocabulary = {}
    for path in sorted(directory.glob("*.txt")):
        if path != listed:
            name = path.name.removesuffix(".txt")
            bare = any(name.endswith(each[1:]) if each.startswith("*") else name == each for each in patterns)
            vocabulary[name] = read_namespace(_text(path), padded=not bare, unknown=unknown)
    return vocabulary


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.parent.name}/{path.name}: expected UTF-8: {error}") from error


def read_namespace(text: str, *, padded: bool, unknown: str = UNKNOWN_TOKEN) -> Namespace:
    """A namespace from a file of AllenNLP's vocabulary.

    Args:
        text: The file's: one token a line, with `@@NEWLINE@@` for a line break within.
        padded: Whether it is of words or characters: then padding is not in the file and has id 0.
        unknown: How the file calls the unknown token.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        del lines[-1]
    tokens = [line.replace("@@NEWLINE@@", "\n") for line in lines]
    if padded:
        tokens = [PADDING_TOKEN, *(UNKNOWN_TOKEN if token == unknown else token for token in tokens)]
    return Namespace(tokens)
