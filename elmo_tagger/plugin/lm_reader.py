"""`lm_text`: where a biLM's text lies, and where its compact form is kept."""

import glob
import logging
import os
from pathlib import Path
from typing import Any, Iterable, List, Optional, Tuple

from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.common.tqdm import Tqdm
from allennlp.data import DatasetReader, Instance
from allennlp.data.fields import MetadataField

from elmo_tagger.bilm.training import Corpus, Spans, prepared
from elmo_tagger.text.files import read_text_lines

logger = logging.getLogger(__name__)


@DatasetReader.register("lm_text")
class LmTextReader(DatasetReader):
    """Text files, one tokenised sentence a line; plain, `.gz` or `.xz`, of any size.

    A data path is a file, a pattern such as `parts/*.xz`, a list of these, or the directory of a prepared text; or
    `{"files": .., "part": "train" | "held_out" | "all", "hold_out": 0.01}`, where a share of each file's sentences, its
    last ones, is held out.

    Args:
        prepared_dir: Keeps each text in the compact form that training reads, some 4 bytes a token, from training to
            training. By default `elmo_tagger/lm` in the user's cache directory.
        workers: Processes that prepare a text; by default as many as there are processors.
    """

    def __init__(self, prepared_dir: Optional[str] = None, workers: Optional[int] = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._prepared_dir = Path(prepared_dir) if prepared_dir is not None else _cache_directory()
        self._workers = (os.cpu_count() or 1) if workers is None else workers

    def open(self, data_path: Any) -> Tuple[Corpus, Spans]:
        """The text in its compact form, prepared if need be, and the sentences meant.

        Raises:
            ConfigurationError: The data path means no file, or the text cannot be used.
            OSError: A file cannot be read.
        """
        files, part, hold_out = _parsed(data_path)
        size = sum(Path(file).stat().st_size for file in files if Path(file).is_file())
        # little text is done sooner than a process has started
        workers = self._workers if size > 1 << 22 else 0
        try:
            with _Bar(size) as bar:
                corpus = prepared(files, self._prepared_dir, workers=workers, report=bar.report)
            spans = corpus.sentences(part, hold_out)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error
        logger.info(
            "%s: %d sentences and %d tokens (%s) in %s", files[0], len(spans), spans.tokens, part, corpus.directory
        )
        return corpus, spans

    def _read(self, file_path: Any) -> Iterable[Instance]:
        """Sentences one by one, for whoever wants instances; `lm_stream` reads the compact form."""
        for file in _parsed(file_path)[0]:
            for _, line in read_text_lines(file):
                if line.split():
                    yield Instance({"tokens": MetadataField(line.split())})


class _Bar:
    """A progress bar that appears when there is something to report."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._bar: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_error: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def report(self, done: int, tokens: int) -> None:
        """So many bytes of the files are done, with so many tokens."""
        if self._bar is None:
            self._bar = Tqdm.tqdm(total=self._size, unit="B", unit_scale=True, desc="preparing the text")
        self._bar.set_postfix_str(f"{tokens:,} tokens", refresh=False)
        self._bar.update(done - self._bar.n)


def _parsed(data_path: Any) -> Tuple[List[str], str, float]:
    """Files, part, and share held out."""
    part, hold_out = "all", 0.0
    if isinstance(data_path, Params):
        data_path = data_path.as_dict(quiet=True)
    if isinstance(data_path, dict):
        unknown = sorted(set(data_path) - {"files", "part", "hold_out"})
        if unknown or "files" not in data_path:
            raise ConfigurationError(f"data path: expected files, part and hold_out, received {sorted(data_path)}")
        part, hold_out = data_path.get("part", part), data_path.get("hold_out", hold_out)
        data_path = data_path["files"]
    patterns = [data_path] if isinstance(data_path, (str, Path)) else list(data_path)
    files = [file for pattern in patterns for file in _matching(str(pattern))]
    if not files:
        raise ConfigurationError("data path: expected files, received an empty list")
    return files, part, hold_out


def _matching(pattern: str) -> List[str]:
    if not glob.has_magic(pattern) or Path(pattern).exists():
        return [pattern]
    files = sorted(str(file) for file in Path(pattern).parent.glob(Path(pattern).name))
    if not files:
        raise ConfigurationError(f"data path: {pattern}: no file has a name of this pattern")
    return files


def _cache_directory() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "elmo_tagger" / "lm"
