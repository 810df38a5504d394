"""`--include-package elmo_tagger` where not all extras are installed."""

import functools
from importlib.util import find_spec
from typing import Dict, Optional, Set

from allennlp import commands
from allennlp.common import util

NEEDED: Dict[str, str] = {
    "elmo_tagger.serve": "fastapi",
    "elmo_tagger.cli.serve_ray": "fastapi",
    "elmo_tagger.integrations.hub": "huggingface_hub",
    "elmo_tagger.integrations.presidio": "presidio_analyzer",
}
"""What modules and packages of this one cannot be imported without."""


def leave_out_what_is_not_installed() -> None:
    """Makes AllenNLP, which imports every module of a package, leave out those whose extra is missing."""
    wanted = util.import_module_and_submodules
    if getattr(wanted, "leaves_out", False):
        return

    @functools.wraps(wanted)
    def import_module_and_submodules(package_name: str, exclude: Optional[Set[str]] = None) -> None:
        missing = {module for module, library in NEEDED.items() if find_spec(library) is None}
        wanted(package_name, (exclude or set()) | missing)

    import_module_and_submodules.leaves_out = True  # type: ignore[attr-defined]
    util.import_module_and_submodules = import_module_and_submodules
    commands.import_module_and_submodules = import_module_and_submodules
