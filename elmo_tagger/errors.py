"""The base class of the errors that the package raises for what it is given."""

from __future__ import annotations


class ElmoTaggerError(ValueError):
    """Data, options, weights or arguments that the package refuses.

    Each part of the package has subclasses of its own. The message alone tells a user what was expected, what was
    received and where, so that a program may print it without a traceback.
    """
