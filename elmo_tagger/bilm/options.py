"""The shape of a biLM, read once from its `options.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elmo_tagger.errors import ElmoTaggerError, shown
from elmo_tagger.text.files import DataError
from elmo_tagger.text.strict_json import parse_object

# 256 UTF-8 bytes, begin and end of sentence, begin and end of word, filling (bilm/data.py, UnicodeCharsVocabulary)
CHARACTERS = 261
_TRAINING_CHARACTERS = CHARACTERS  # what bilm-tf's training writes
_USE_CHARACTERS = CHARACTERS + 1  # what bilm-tf's users write: one more for a wholly padded position
_ACTIVATIONS = ("relu", "tanh")
_MAX_CHARACTERS = 1000  # every word is filled up to as many; bilm-tf has 50
_MAX_FLOAT32 = 3.4e38


class OptionsError(ElmoTaggerError):
    """Options that describe no biLM."""


@dataclass(frozen=True)
class CharCnnOptions:
    """The character CNN.

    Attributes:
        embedding_dim: Width of a character's vector (`embedding.dim` in the file).
        filters: Pairs of window width in characters and number of filters.
        n_highway: Highway layers after the pooling.
        max_characters_per_token: C: bytes of a word plus its begin and end mark; longer words are cut.
        activation: `relu` or `tanh`, after the pooling.
        n_characters: Always 262. A file written in training says 261; both are read.
    """

    embedding_dim: int
    filters: tuple[tuple[int, int], ...]
    n_highway: int = 0
    max_characters_per_token: int = 50
    activation: str = "relu"
    n_characters: int = _USE_CHARACTERS

    @property
    def n_filters(self) -> int:
        """F, the filters of all widths."""
        return sum(count for _, count in self.filters)


@dataclass(frozen=True)
class LstmOptions:
    """The clipped, projected LSTM, the same for both directions.

    Attributes:
        dim: H, the width of a cell.
        projection_dim: P, the width of what one direction hands on.
        n_layers: LSTM layers of each direction.
        cell_clip: Cells are clipped to plus or minus this; None for no clipping.
        proj_clip: The same for the projection.
        use_skip_connections: Every layer but the first adds its input to its output.
    """

    dim: int
    projection_dim: int
    n_layers: int
    cell_clip: float | None = None
    proj_clip: float | None = None
    use_skip_connections: bool = False


@dataclass(frozen=True)
class Options:
    """The options of a biLM, named as in bilm-tf's `options.json`.

    Source: https://github.com/allenai/bilm-tf, bilm/model.py and bilm/training.py.
    """

    char_cnn: CharCnnOptions
    lstm: LstmOptions
    source: str = field(default="options", compare=False, repr=False)

    @classmethod
    def from_file(cls, path: str | Path) -> Options:
        """Read an `options.json`.

        Raises:
            OptionsError: The file is not JSON, or a field is missing, misspelt or out of range.
            OSError: The file cannot be read.
        """
        try:
            raw = parse_object(Path(path).read_bytes(), name=str(path))
        except DataError as error:
            raise OptionsError(str(error)) from error
        return cls.from_dict(raw, source=str(path))

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], *, source: str = "options") -> Options:
        """Check and take over what `options.json` holds; keys that only bilm-tf's training uses are left out.

        Args:
            raw: The parsed JSON object.
            source: Where it comes from, for messages.

        Raises:
            OptionsError: A field is missing, misspelt or out of range.
        """
        root = _Fields(raw, where=source)
        if not root.take("bidirectional", bool, default=True):
            raise OptionsError(f"{source}: bidirectional: expected true, received false: only biLMs are read")
        cnn = _char_cnn(root.section("char_cnn"))
        lstm = _lstm(root.section("lstm"))
        return cls(char_cnn=cnn, lstm=lstm, source=source)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that `from_dict`, bilm-tf and AllenNLP read."""
        cnn, lstm = self.char_cnn, self.lstm
        return {
            "lstm": {
                "use_skip_connections": lstm.use_skip_connections,
                "projection_dim": lstm.projection_dim,
                "cell_clip": lstm.cell_clip,
                "proj_clip": lstm.proj_clip,
                "dim": lstm.dim,
                "n_layers": lstm.n_layers,
            },
            "char_cnn": {
                "activation": cnn.activation,
                "filters": [list(pair) for pair in cnn.filters],
                "n_highway": cnn.n_highway,
                "embedding": {"dim": cnn.embedding_dim},
                "n_characters": cnn.n_characters,
                "max_characters_per_token": cnn.max_characters_per_token,
            },
        }


def _char_cnn(fields: _Fields) -> CharCnnOptions:
    embedding = fields.section("embedding")
    embedding_dim = embedding.positive("dim")
    embedding.finish()
    activation = fields.take("activation", str)
    if activation not in _ACTIVATIONS:
        raise fields.error("activation", f"one of {', '.join(_ACTIVATIONS)}", activation)
    n_characters = fields.take("n_characters", int)
    if n_characters not in (_TRAINING_CHARACTERS, _USE_CHARACTERS):
        expected = f"{_TRAINING_CHARACTERS} (as written in training) or {_USE_CHARACTERS} (as read in use)"
        raise fields.error("n_characters", expected, n_characters)
    highway = fields.take("n_highway", int, default=0)
    if highway < 0:
        raise fields.error("n_highway", "a number of layers, 0 or more", highway)
    longest = fields.take("max_characters_per_token", int)
    if not 3 <= longest <= _MAX_CHARACTERS:
        expected = f"3 (a begin mark, one byte, an end mark) to {_MAX_CHARACTERS}"
        raise fields.error("max_characters_per_token", expected, longest)
    filters = _filters(fields, longest)
    fields.finish()
    return CharCnnOptions(
        embedding_dim=embedding_dim,
        filters=filters,
        n_highway=highway,
        max_characters_per_token=longest,
        activation=activation,
    )


def _filters(fields: _Fields, longest: int) -> tuple[tuple[int, int], ...]:
    raw = fields.take("filters", list)
    if not raw:
        raise fields.error("filters", "at least one [width, number] pair", raw)
    for pair in raw:
        integers = isinstance(pair, (list, tuple)) and len(pair) == 2 and all(type(n) is int and n > 0 for n in pair)
        if not integers:
            raise fields.error("filters", "[width, number] pairs of positive integers", pair)
        if pair[0] > longest:
            raise fields.error("filters", f"widths of at most max_characters_per_token = {longest}", pair)
    return tuple((width, count) for width, count in raw)


def _lstm(fields: _Fields) -> LstmOptions:
    options = LstmOptions(
        dim=fields.positive("dim"),
        projection_dim=fields.positive("projection_dim"),
        n_layers=fields.positive("n_layers"),
        cell_clip=fields.clip("cell_clip"),
        proj_clip=fields.clip("proj_clip"),
        use_skip_connections=fields.take("use_skip_connections", bool, default=False),
    )
    fields.finish()
    return options


_REQUIRED: Any = object()
_JSON_NAMES = {bool: "true or false", int: "an integer", str: "a string", list: "a list", dict: "an object"}


class _Fields:
    """The fields of one JSON object, taken one by one, so that what nobody took can be named at the end."""

    def __init__(self, raw: Any, *, where: str, path: str = "") -> None:
        if not isinstance(raw, Mapping):
            raise OptionsError(f"{where}: {path.rstrip('.') or 'options'}: expected an object, received {shown(raw)}")
        self._raw = dict(raw)
        self._where = where
        self._path = path
        self._taken: list[str] = []

    def error(self, name: str, expected: str, received: object) -> OptionsError:
        return OptionsError(f"{self._where}: {self._path}{name}: expected {expected}, received {shown(received)}")

    def take(self, name: str, kind: type, *, default: Any = _REQUIRED) -> Any:
        self._taken.append(name)
        value = self._raw.get(name, default)
        if value is _REQUIRED:
            raise OptionsError(f"{self._where}: {self._path}{name} is missing: expected {_JSON_NAMES[kind]}")
        # bool is a subclass of int, and a width of `true` is a mistake
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.error(name, _JSON_NAMES[kind], value)
        return value

    def section(self, name: str) -> _Fields:
        return _Fields(self.take(name, dict), where=self._where, path=f"{self._path}{name}.")

    def positive(self, name: str) -> int:
        value: int = self.take(name, int)
        if not 1 <= value < 2**31:
            raise self.error(name, "a positive integer below 2**31", value)
        return value

    def clip(self, name: str) -> float | None:
        self._taken.append(name)
        value: float | None = self._raw.get(name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (number and 0 < value <= _MAX_FLOAT32):
            raise self.error(name, "a positive number of float32, or null for no clipping", value)
        return value

    def finish(self) -> None:
        """A misspelt optional field would be silently replaced by its default."""
        unknown = sorted(set(self._raw) - set(self._taken))
        if unknown:
            field = f"{self._path}{shown(unknown[0])[1:-1]}"
            raise OptionsError(f"{self._where}: unknown {field}: expected only {', '.join(sorted(self._taken))}")
