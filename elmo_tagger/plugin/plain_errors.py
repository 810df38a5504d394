"""Errors in data and configs reach users of the `allennlp` command as one line, without a traceback."""

import logging
import sys
from pathlib import Path
from types import TracebackType
from typing import Optional, Tuple, Type

from allennlp.common.checks import ConfigurationError
from torch.multiprocessing import ProcessRaisedException

from elmo_tagger.bilm.options import OptionsError
from elmo_tagger.bilm.weights import WeightsError
from elmo_tagger.tagging.checks import CrfInputError
from elmo_tagger.tagging.schemes import TagSchemeError
from elmo_tagger.text.files import DataError

PLAIN: Tuple[Type[Exception], ...] = (
    ConfigurationError,
    CrfInputError,
    DataError,
    OptionsError,
    OSError,
    TagSchemeError,
    WeightsError,
)
"""Errors whose message says all that a user can use."""


def install() -> None:
    """Makes the `allennlp` command print them plainly; other programs that import the plugin are left alone."""
    command = Path(sys.argv[0])
    if command.stem == "allennlp" or command.parts[-2:] == ("allennlp", "__main__.py"):
        sys.excepthook = print_plainly
        # `allennlp train` replaces the hook by one that logs the traceback to the root logger.
        logging.getLogger().addFilter(log_plainly)


def log_plainly(record: logging.LogRecord) -> bool:
    """A filter of the root logger: of a plain error that ends the program, the log keeps the message alone."""
    error = record.exc_info[1] if record.exc_info else None
    message = message_of(error) if error is not None else None
    if message is not None and record.levelno == logging.CRITICAL:
        record.msg, record.args, record.exc_info = f"error: {message}", (), None
        print(record.msg, file=sys.stderr)
    return True


def print_plainly(kind: Type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
    """An excepthook; whatever is not one of `PLAIN` keeps its traceback."""
    message = message_of(error)
    if message is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"error: {message}", file=sys.stderr)


def message_of(error: BaseException) -> Optional[str]:
    """The message of a plain error, also of one that ended a worker process; None for any other."""
    if isinstance(error, PLAIN):
        return str(error)
    if isinstance(error, ProcessRaisedException):
        # The worker's traceback as text; its last line is "module.Class: message".
        kind, _, message = str(error).strip().splitlines()[-1].partition(": ")
        if kind in {f"{each.__module__}.{each.__name__}" for each in PLAIN}:
            return message
    return None
