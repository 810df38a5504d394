"""Archives: AllenNLP opens them as data, and what is wrong with one is one line.

AllenNLP extracts an archive wherever its members say, evaluates its config as a Jsonnet program, imports whatever the
config names, and sees no damage. Here `elmo_tagger.archives` reads it; `class_names` says what may be built. What
AllenNLP writes is packed in a tenth of its time.
"""

import json
import logging
import re
import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from os import PathLike
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, Mapping, Tuple, Union

import torch
from allennlp.common import Params, params
from allennlp.common.meta import Meta
from allennlp.models import archival
from allennlp.nn import util

from elmo_tagger.archives import Archive, ArchiveError, bounded_by, extract, read_weights
from elmo_tagger.archives.limits import MAX_CHARACTERS, check_numbers
from elmo_tagger.errors import shown
from elmo_tagger.plugin.compat.class_names import note_names
from elmo_tagger.plugin.compat.starting import entries

logger = logging.getLogger(__name__)

COMPRESSION = 1
"""Of gzip. Its highest, AllenNLP's, takes 13 times as long and makes the `starter`'s weights 7 % smaller."""
READERS = ("dataset_reader", "validation_dataset_reader")
LOADERS = ("data_loader", "validation_data_loader")
MAX_WORKERS = 256
"""Processes that an archive may ask for when it is evaluated."""

_names: Dict[str, str] = {}
"""The archives that are extracted now, by the directories that they are in, for messages."""
_read: ContextVar[Tuple[str, Mapping[str, torch.Tensor]]] = ContextVar("_read")
"""A file of weights and what is in it, while a model is built for it."""


def open_archives_as_data() -> None:
    """Replaces the steps of AllenNLP's `load_archive`, under whatever name others have imported that."""
    if archival.Params is ArchivedConfig:
        return
    archival.extracted_archive = extracted_archive
    archival.tarfile = SimpleNamespace(open=partial(tarfile.open, compresslevel=COMPRESSION))
    archival.Params = ArchivedConfig
    archival.Meta = ArchivedMeta
    archival._load_dataset_readers = _in_one_line(archival._load_dataset_readers)
    archival._load_model = _in_one_line(_for_its_weights(archival._load_model))
    util.read_state_dict = _read_once(util.read_state_dict)


@contextmanager
def extracted_archive(resolved_archive_file: Union[str, Path], cleanup: bool = True) -> Iterator[str]:
    """Extracts an archive into a temporary directory, of which it gives the path.

    Args:
        resolved_archive_file: `model.tar.gz`.
        cleanup: Whether to remove the directory at the end. It is removed in any case if it cannot be extracted.

    Raises:
        ArchiveError: The archive is damaged or no archive, or would write anything but files into the directory.
    """
    directory, extracted = tempfile.mkdtemp(prefix="elmo-tagger-"), False
    try:
        with Path(resolved_archive_file).open("rb") as file:
            extract(file, Path(directory), str(resolved_archive_file))
        extracted = True
        _names[directory] = str(resolved_archive_file)
        yield directory
    finally:
        if cleanup or not extracted:
            _names.pop(directory, None)
            shutil.rmtree(directory, ignore_errors=True)


class ArchivedConfig(Params):
    """The config of an archive: JSON, not Jsonnet."""

    @classmethod
    def from_file(
        cls,
        params_file: Union[str, PathLike],  # type: ignore[type-arg]
        params_overrides: Union[str, Dict[str, Any]] = "",
        ext_vars: Any = None,
    ) -> Params:
        """Reads a config; only the overrides, which the user typed, are Jsonnet.

        Raises:
            ArchiveError: It is no JSON, lacks the reader or the model, or has sizes that nothing has.
        """
        archive = _archive(Path(params_file).parent)
        where = archive.label("config.json")
        config = archive.config()
        note_names(config, where)
        for reader in (name for name in READERS if isinstance(config.get(name), dict)):
            check_numbers(
                config[reader].get("token_indexers"), MAX_CHARACTERS, where=f"{where}: {reader}.token_indexers"
            )
        for loader in LOADERS:
            for place, key, value in entries(config.get(loader), loader):
                if key == "num_workers" and isinstance(value, int) and value > MAX_WORKERS:
                    raise ArchiveError(f"{where}: {place}: expected at most {MAX_WORKERS}, received {shown(value)}")
        if isinstance(params_overrides, dict):
            params_overrides = json.dumps(params_overrides)
        overrides = params.parse_overrides(params_overrides, ext_vars=ext_vars)
        return Params(params.with_overrides(config, overrides) if overrides else config)


class ArchivedMeta(Meta):
    """What an archive says of the AllenNLP that wrote it."""

    @classmethod
    def from_path(cls, path: Union[str, PathLike]) -> Meta:  # type: ignore[type-arg]
        """Reads `meta.json`.

        Raises:
            ArchiveError: It does not say a version.
        """
        version = _archive(Path(path).parent).version()
        assert version is not None  # AllenNLP has seen the file
        return Meta(version=version)


def _archive(directory: Union[str, Path]) -> Archive:
    return Archive(_names.get(str(directory), str(directory)), Path(directory))


def _in_one_line(build: Callable[..., Any]) -> Callable[..., Any]:
    """AllenNLP's way of building from a config, with errors that name the archive."""

    def built(config: Params, *args: Any) -> Any:
        directory = args[0] if len(args) == 1 else args[1]  # (directory), or (weights, directory, device)
        name = _archive(directory).name
        try:
            return build(config, *args)
        except ArchiveError:
            raise
        except Exception as error:  # a config or vocabulary can be wrong in any way that constructors notice
            logger.info("%s could not be loaded", name, exc_info=True)
            message = _message(error)
            raise ArchiveError(message if message.startswith(name) else f"{name}: {message}") from error

    return built


def _message(error: BaseException) -> str:
    """What went wrong, in one line; AllenNLP hides the reason behind the alternatives that it tried."""
    while error.__cause__ is not None and not isinstance(error, ArchiveError):
        error = error.__cause__
    text = " ".join(str(error.args[-1] if error.args else error).split())
    if isinstance(error, ArchiveError):
        return text
    mismatch = re.search(
        r"size mismatch for (\S+): copying a param with shape torch\.Size\(\[(.*?)\]\) from checkpoint, "
        r"the shape in current model is torch\.Size\(\[(.*?)\]\)",
        text,
    )
    if mismatch:
        key, received, expected = mismatch.groups()
        return f"weights.th: {key}: expected shape ({expected}) by the config and the vocabulary, received ({received})"
    if type(error) in (KeyError, TypeError, AttributeError, IndexError, AssertionError):
        text = f"{type(error).__name__}: {text}"
    return f"cannot be loaded: {text if len(text) <= 400 else text[:400] + ' ...'}"


def _for_its_weights(load: Callable[..., Any]) -> Callable[..., Any]:
    """Builds the model within the bounds that its weights set."""

    def loaded(config: Params, weights_path: str, serialization_dir: str, cuda_device: int) -> Any:
        archive = _archive(serialization_dir)
        inside = Path(weights_path).parent == archive.directory
        weights = archive.weights() if inside else read_weights(weights_path)
        model = config.params["model"]
        _check_labels(archive, model, weights)
        token = _read.set((str(weights_path), weights))
        try:
            with bounded_by(weights, model, name=archive.name):
                return load(config, weights_path, serialization_dir, cuda_device)
        finally:
            _read.reset(token)

    return loaded


def _check_labels(archive: Archive, model: Mapping[str, Any], weights: Mapping[str, torch.Tensor]) -> None:
    """Refuses other numbers of tags than the weights have, before pairs of them are formed."""
    path = archive.directory / "vocabulary" / f"{model.get('label_namespace', 'labels')}.txt"
    projection = weights.get("tag_projection_layer._module.bias")
    if projection is None or not path.is_file():
        return
    try:
        received = len(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{archive.label(f'vocabulary/{path.name}')}: expected UTF-8: {error}") from None
    if received != len(projection):
        raise ArchiveError(
            f"{archive.label(f'vocabulary/{path.name}')}: expected {len(projection)} tags, as the weights have, "
            f"received {received}"
        )


def _read_once(read: Callable[..., Any]) -> Callable[..., Any]:
    """AllenNLP's way of reading weights, which gives those of an archive as they were read already."""

    def read_state_dict(path: Union[str, PathLike], *args: Any, **kwargs: Any) -> Any:  # type: ignore[type-arg]
        known, weights = _read.get(("", {}))
        return dict(weights) if str(path) == known else read(path, *args, **kwargs)

    return read_state_dict
