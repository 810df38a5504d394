"""Errors in data and configs reach users of the `allennlp` command as one line, without a traceback."""

import json
import logging
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Iterable, Iterator, Optional, Tuple, Type

from allennlp.common.checks import ConfigurationError
from allennlp.common.util import SigTermReceived
from torch.multiprocessing import ProcessRaisedException

from elmo_tagger.errors import ElmoTaggerError

_PYTHONS_HOOK = sys.__excepthook__
INTERRUPTED = "interrupted"
INTERRUPTIONS = (KeyboardInterrupt, SigTermReceived)
RECOVER = "; a training goes on with the same command and --recover"
NOTHING_SAVED = "; nothing was saved yet"
"""What an interruption is told to say, by who removes the folder of a training that has come to nothing."""

PLAIN: Tuple[Type[Exception], ...] = (ConfigurationError, ElmoTaggerError, OSError)
"""Errors whose message says all that a user can use."""


def install() -> None:
    """Makes this process print them plainly."""
    sys.excepthook = print_plainly
    # Where AllenNLP sends interruptions from the keyboard.
    sys.__excepthook__ = print_plainly  # type: ignore[misc]
    # `allennlp train` replaces the hook by one that logs the traceback to the root logger.
    logging.getLogger().addFilter(log_plainly)


def log_plainly(record: logging.LogRecord) -> bool:
    """A filter of the root logger: of a plain error that ends the program, the log keeps the message alone."""
    error = record.exc_info[1] if record.exc_info else None
    message = message_of(error) if error is not None else None
    if message is not None and record.levelno == logging.CRITICAL:
        record.msg, record.args, record.exc_info = message, (), None
    return True


def print_plainly(kind: Type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
    """An excepthook; whatever is not one of `PLAIN` keeps its traceback."""
    if isinstance(error, BrokenPipeError):
        _close_output()  # who read it, `head` for one, has read enough
        return
    message = message_of(error)
    if message is None:
        _PYTHONS_HOOK(kind, error, trace)
    else:
        print(f"error: {message}", file=sys.stderr)


def message_of(error: BaseException) -> Optional[str]:
    """The message of a plain error, also of one that ended a worker process; None for any other."""
    if isinstance(error, INTERRUPTIONS):
        hint = NOTHING_SAVED if NOTHING_SAVED in error.args else RECOVER
        return INTERRUPTED + (hint if _passed_through(error, "train_model") else "")
    if isinstance(error, PLAIN):
        return str(error)
    if isinstance(error, TypeError) and _raised_in(error, "from_params.py"):
        return f"the config: {error}"
    if isinstance(error, TypeError) and _raised_in(error, "predictor.py"):
        return f"--predictor-args: {error}"
    if isinstance(error, json.JSONDecodeError) and _passed_through(error, "_get_predictor"):
        return f"--predictor-args: expected a JSON object, received {error.doc!r} ({error})"
    if isinstance(error, ProcessRaisedException):
        # The worker's traceback as text; its last line is "module.Class: message".
        kind, _, message = str(error).strip().splitlines()[-1].partition(": ")
        if kind in {f"{each.__module__}.{each.__qualname__}" for each in _with_subclasses(PLAIN)}:
            return message
    return None


def _with_subclasses(kinds: Iterable[Type[Exception]]) -> Iterator[Type[Exception]]:
    for kind in kinds:
        yield kind
        yield from _with_subclasses(kind.__subclasses__())


def _close_output() -> None:
    """Gives what is still to be written at exit a place to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _passed_through(error: BaseException, function: str) -> bool:
    """Whether a function of this name, or what it called, raised the error."""
    return any(frame.name == function for frame in traceback.extract_tb(error.__traceback__))


def _raised_in(error: BaseException, file: str) -> bool:
    """Whether a file of this name raised the error itself."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).name == file
