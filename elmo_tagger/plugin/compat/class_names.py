"""What the config of an archive may build: what is registered, and classes of AllenNLP and of this package.

AllenNLP takes a name with a dot for a class that it imports, or for anything else: `"type": "os.system"` is run with
the rest of the object as its arguments.
"""

import os
import re
import sys
from typing import Any, Callable, Dict, Optional, Tuple

from allennlp.common import Registrable

from elmo_tagger.archives import ArchiveError
from elmo_tagger.errors import shown

TRUST = "ELMO_TAGGER_TRUST_ARCHIVES"
"""An environment variable: 1 lets the configs of archives name any class, and models of the hub run their code."""

_PACKAGES = re.compile(r"(allennlp|elmo_tagger)(_\w+)?")
_dotted: Dict[str, str] = {}
"""Every string with a dot in an archive's config, and where it stands: none is imported, now or later."""


def trusted() -> bool:
    """Whether the user has said that archives may name what they like."""
    return os.environ.get(TRUST, "") not in ("", "0")


def note_names(config: Any, where: str) -> None:
    """Notes what an archive's config could have imported.

    Args:
        config: The config or a part of it.
        where: Its place, for messages.

    Raises:
        ArchiveError: It asks the model hub for code.
    """
    if isinstance(config, str):
        if "." in config:
            _dotted[config] = where
    elif isinstance(config, list):
        for value in config:
            note_names(value, where)
    elif isinstance(config, dict):
        if config.get("trust_remote_code") and not trusted():
            raise ArchiveError(f"{where}: trust_remote_code: expected an archive that runs no code; {_switch()}")
        for value in config.values():
            note_names(value, where)


def refuse_names_of_archives() -> None:
    """Has AllenNLP import no name that an archive's config brought, unless it is a class of the packages above."""
    resolve = Registrable.resolve_class_name.__func__  # type: ignore[attr-defined]
    if getattr(resolve, "refuses_names_of_archives", False):
        return

    def resolve_class_name(cls: Any, name: str) -> Tuple[Any, Optional[str]]:
        known = Registrable._registry[cls]
        if name in known or name not in _dotted or trusted():
            return resolve(cls, name)
        found = _registered(name, known) or _ours(cls, name, resolve)
        if found is None:
            raise ArchiveError(
                f"{_dotted[name]}: expected a registered name or a class of AllenNLP or elmo_tagger for a "
                f"{cls.__name__}, received {shown(name)}; --include-package imports a package of yours, {_switch()}"
            )
        return found, None

    resolve_class_name.refuses_names_of_archives = True  # type: ignore[attr-defined]
    Registrable.resolve_class_name = classmethod(resolve_class_name)


def _switch() -> str:
    return f"{TRUST}=1 lets archives that you trust name any class"


def _registered(name: str, known: Dict[str, Tuple[Any, Optional[str]]]) -> Any:
    """A class that the user's own package has registered, by its path."""
    module, _, attribute = name.rpartition(".")
    found = getattr(sys.modules.get(module), attribute, None)
    return found if found is not None and any(found is each for each, _ in known.values()) else None


def _ours(cls: Any, name: str, resolve: Callable[[Any, str], Tuple[Any, Optional[str]]]) -> Any:
    """A class that one of the packages defines, by its path; not a function of theirs, nor what they import."""
    if not _PACKAGES.fullmatch(name.split(".", 1)[0]):
        return None
    found, _ = resolve(cls, name)
    defined = isinstance(found, type) and _PACKAGES.fullmatch(found.__module__.split(".", 1)[0])
    return found if defined and issubclass(found, cls) else None
