"""`text_csv`: instances of texts and labels, from CSV, TSV and JSON lines."""

import logging
import re
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.data.dataset_readers.dataset_reader import DatasetReader
from allennlp.data.fields import Field, LabelField, MetadataField, TextField
from allennlp.data.instance import Instance
from allennlp.data.token_indexers import SingleIdTokenIndexer, TokenIndexer
from allennlp.data.tokenizers import Token, Tokenizer

from elmo_tagger.text.files import DataError, skipping
from elmo_tagger.text.tables import LabelledText, TextTable, split
from elmo_tagger.text.tokenize import Tokenizer as Words

logger = logging.getLogger(__name__)

URL = re.compile(r"(?:https?://|www\.)\S+")
MENTION = re.compile(r"(?<![\w@])@\w+")


@DatasetReader.register("text_csv")
class TextCsvReader(DatasetReader):
    """Reads one text a row, with its label, from CSV, TSV or JSON lines (by the name `.jsonl`).

    With `split`, a data path such as `tweets.csv#train` means that part of the file. Each instance has the fields
    `tokens`, `label` (where there is one) and `metadata`, a dict with `words`, `text`, `path` and `line`.

    Args:
        token_indexers: As everywhere in AllenNLP; by default a single id for each token.
        text_column: The column of the texts: a name in the first row, or a number from 0, negative from the end.
        label_column: That of the labels, likewise; null for files without labels.
        separator: What parts values; by default whichever of comma, semicolon and tab the first row has most of.
            Values may stand in quotation marks, with separators and line breaks inside.
        header: Whether the first row holds names; by default if a column is given by its name.
        encoding: Of the file's text.
        skip_bad_lines: Leave out rows that cannot be read, with a warning that counts them, instead of refusing the
            file at the first one.
        replace_urls: What web addresses become, such as `"URL"`; `""` removes them, null keeps them.
        replace_mentions: What mentions such as @ann become, likewise.
        split: Parts of a file and their shares, such as `{"train": 0.8, "dev": 0.1, "test": 0.1}`.
        split_seed: Of the order in which rows are dealt out to them.
        tokenizer: Finds words; by default the package's rules for `language`. `"just_spaces"` for text that is
            tokenised already.
        language: spaCy's code of the language, where no `tokenizer` is given.
        max_instances: Read no more texts than this.
    """

    shuffles_by_default = True

    def __init__(
        self,
        token_indexers: Optional[Dict[str, TokenIndexer]] = None,
        text_column: Union[int, str] = "text",
        label_column: Optional[Union[int, str]] = "label",
        separator: Optional[str] = None,
        header: Optional[bool] = None,
        encoding: str = "utf-8",
        skip_bad_lines: bool = False,
        replace_urls: Optional[str] = None,
        replace_mentions: Optional[str] = None,
        split: Optional[Dict[str, float]] = None,
        split_seed: int = 13,
        tokenizer: Optional[Tokenizer] = None,
        language: str = "en",
        max_instances: Optional[int] = None,
    ) -> None:
        super().__init__(
            max_instances=max_instances, manual_distributed_sharding=True, manual_multiprocess_sharding=True
        )
        self._token_indexers = token_indexers or {"tokens": SingleIdTokenIndexer()}
        self._table = TextTable(
            text_column=text_column,
            label_column=label_column,
            separator=separator,
            header=header,
            encoding=encoding,
        )
        self._skip_bad_lines = skip_bad_lines
        self._replacements = [
            (pattern, text) for pattern, text in ((URL, replace_urls), (MENTION, replace_mentions)) if text is not None
        ]
        self._split, self._split_seed = split, split_seed
        self._tokenizer = tokenizer or _PackageTokenizer(language)

    def _read(self, file_path: Any) -> Iterable[Instance]:
        path, part = self._located(str(file_path))
        skipped: List[DataError] = []
        report = skipping(skipped.append) if self._skip_bad_lines else None
        rows = list(self._table.read(cached_path(path), report=report))
        if skipped:
            logger.warning("%s: %d bad rows are left out, the first is %s", path, len(skipped), skipped[0])
        if self._split and part is not None:
            rows = [rows[place] for place in split(len(rows), self._split, seed=self._split_seed)[part]]
        for row in self.shard_iterable(rows):
            yield self._instance(row, path)

    def _located(self, path: str) -> Tuple[str, Optional[str]]:
        """The file that a data path means, and the part of it, if one is meant."""
        file, mark, part = path.rpartition("#")
        if not self._split or not mark:
            return path, None
        if part not in self._split:
            known = ", ".join(f"{file}#{name}" for name in self._split)
            raise ConfigurationError(f"{path}: expected one of {known}")
        return file, part

    def _instance(self, row: LabelledText, path: str) -> Instance:
        return self.text_to_instance(row.text, row.label, {"path": path, "line": row.line})

    def text_to_instance(  # type: ignore[override]
        self, text: str, label: Optional[str] = None, metadata: Optional[Dict[str, Any]] = None
    ) -> Instance:
        """An instance of one text.

        Args:
            text: As it was written; it is cleaned and split into words here.
            label: Its label.
            metadata: Further entries for the `metadata` field.
        """
        cleaned = text
        for pattern, replacement in self._replacements:
            # a function: a replacement is no template
            cleaned = pattern.sub(lambda _, found=replacement: found, cleaned)  # type: ignore[misc]
        tokens = self._tokenizer.tokenize(cleaned) or [Token(" ")]  # nothing but a web address, say
        words = [token.ensure_text() for token in tokens]
        fields: Dict[str, Field] = {
            "tokens": TextField(tokens),
            "metadata": MetadataField({"words": words, "text": text, **(metadata or {})}),
        }
        if label is not None:
            fields["label"] = LabelField(label)
        return Instance(fields)

    def apply_token_indexers(self, instance: Instance) -> None:
        """Attaches the indexers; AllenNLP calls it in the process that indexes."""
        instance["tokens"].token_indexers = self._token_indexers  # type: ignore[attr-defined]


class _PackageTokenizer(Tokenizer):
    """The words of all sentences, found as the tagger finds them."""

    def __init__(self, language: str) -> None:
        self._words = Words(language=language)

    def tokenize(self, text: str) -> List[Token]:
        """Its words."""
        return [Token(word) for sentence in self._words(text) for word in sentence.tokens]
