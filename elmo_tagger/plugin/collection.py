"""Python's search for cyclic garbage, put off while many objects are made that will stay."""

import gc
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Collect nothing within, and take all that was made for long-lived at the end.

    Every instance of a corpus is made of objects that stay. Python counts the new ones, and looks through them and, now
    and then, through all that there are, the libraries' million among them: half of the time that reading takes.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            _age()
            gc.enable()


def _age() -> None:
    """Puts all objects among the oldest, which are looked through last, without looking through them now."""
    if not gc.get_freeze_count():  # what someone else has frozen would be thawed
        gc.freeze()
        gc.unfreeze()
