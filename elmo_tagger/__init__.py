"""ELMo + BiLSTM-CRF sequence tagging.

The folders tell the way of the data: `text` (files, tokens, static vectors) -> `bilm` (character ids, biLM layers, mix)
-> `tagging` (CRF, tag schemes, scores); `tagger` puts them together, from text to entities, and `plugin` adapts them to
AllenNLP, which trains them. `corpus` works on annotated files, `vectors` writes and searches the biLM's vectors,
`serve` answers over HTTP, `integrations` fits into other libraries, `archives` opens trained models, `cli` is the
command.
`docs/architecture.md` is the map of them; the shortest accounts of what is computed are the slow second implementations
in `tests/reference`.

Axis legend, used by every docstring and shape comment of the package:

    B  sentences of a batch          P  projection width of one biLM direction
    T  tokens, padding included      H  cell width of one LSTM direction
    C  characters of a token         L  biLM layers, the character CNN first
    F  filters of the CNN in all     D  embedding width
    W  distinct words of a batch     K  tags
    S  spans                         N  paths of an n-best list

A mask is `(B, T)` bool, true on real tokens.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing for its own would take longer than all the rest of this file
if TYPE_CHECKING:
    from elmo_tagger.bilm import Bilm, Elmo
    from elmo_tagger.tagger import Tagger, load

__version__ = "0.1.0"
__all__ = ["Bilm", "Elmo", "Tagger", "__version__", "load"]

_HOMES = {
    "Bilm": "elmo_tagger.bilm",
    "Elmo": "elmo_tagger.bilm",
    "Tagger": "elmo_tagger.tagger",
    "load": "elmo_tagger.tagger",
}


def __getattr__(name: str) -> object:
    """Loads a public name when it is first used, so that `import elmo_tagger` needs neither torch nor NumPy."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
