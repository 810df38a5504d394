"""The base class of the errors that the package raises for what it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager


class ElmoTaggerError(ValueError):
    """Data, options, weights or arguments that the package refuses.

    Each part of the package has subclasses of its own. The message alone tells a user what was expected, what was
    received and where, so that a program may print it without a traceback.
    """


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Within, an error of the package whose message does not begin with a file's name gets the name before it.

    For what is built from the parts of a file: a part knows what is wrong with it, but not where it came from.

    Args:
        name: The file or folder.
    """
    try:
        yield
    except ElmoTaggerError as error:
        message = str(error)
        if not message.startswith((f"{name}:", f"{name}/")):
            error.args = (f"{name}: {message}", *error.args[1:])
        raise


SHOWN_AT_MOST = 80
"""Characters of a value that a message shows."""

# What a terminal obeys or hides: control characters, line and paragraph separators, marks that turn the direction of
# the text, and surrogates, which have no encoding.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(value: object, *, limit: int = SHOWN_AT_MOST, quoted: bool = True) -> str:
    """A value of foreign data for a message: escaped, at most `limit` characters of it.

    Args:
        value: Whatever was received; anything but a string is written as Python writes it.
        limit: Characters of the value, the mark of an omission included.
        quoted: Whether a string stands in quotation marks.
    """
    text = value if isinstance(value, str) else repr(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return repr(text) if quoted and isinstance(value, str) else escaped(text)


def escaped(text: str) -> str:
    """A text for a terminal: what would steer it stands as Python would escape it, all else as it is."""
    return _UNPRINTABLE.sub(lambda found: repr(found[0])[1:-1], text)
