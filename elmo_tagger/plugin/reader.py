"""`conll_columns`: instances from column files, and from the words of a raw text."""

import logging
from typing import Any, Dict, Iterable, Iterator, List, Optional

from allennlp.common.file_utils import cached_path
from allennlp.data.dataset_readers.dataset_reader import DatasetReader
from allennlp.data.fields import Field, MetadataField, TextField
from allennlp.data.instance import Instance
from allennlp.data.token_indexers import SingleIdTokenIndexer, TokenIndexer
from allennlp.data.tokenizers import Token

from elmo_tagger.plugin.tags_field import TagsField
from elmo_tagger.tagging.detection import detect_scheme
from elmo_tagger.tagging.partial import convert
from elmo_tagger.tagging.schemes import get_scheme
from elmo_tagger.text.columns import DOCUMENT_MARKER, read_columns
from elmo_tagger.text.files import DataError, skipping
from elmo_tagger.text.sentence import Sentence

logger = logging.getLogger(__name__)


@DatasetReader.register("conll_columns")
class ConllColumnsReader(DatasetReader):
    """Reads any column file with one token a line and sentences separated by blank lines.

    Its sentences are shuffled anew every epoch unless the data loader says otherwise (`"shuffle": false` or a batch
    sampler; AllenNLP's own readers are not, see `compat.shuffling`).

    Each instance has the fields `tokens`, `tags` (where there are tags) and `metadata`, a dict with `words`,
    `document` (index of the document in its file), `path` and `line` (of the first token).

    Labels may be partial: `?` is an unknown one, `B-PER|B-ORG` a choice; see `tagging.partial`. A training learns from
    all tag sequences that they allow. A file that does not annotate a type says so in its labels, as
    `elmo-tagger convert IN OUT --unannotated TYPE` writes them.

    Args:
        token_indexers: As everywhere in AllenNLP; by default a single id for each token.
        token_column: The column of the tokens, counted from 0, or from the end if negative.
        tag_column: The column of the tags, counted likewise; null for files without tags.
        separator: What stands between columns; any run of spaces and tabs by default.
        comment_prefix: Lines that begin so are skipped; none by default, since tokens may begin with `#`.
        document_marker: A line with this in a column begins a document; by default `-DOCSTART-`.
        coding_scheme: The tag scheme of the instances, such as `"BIOUL"`; by default the one of the file.
        source_scheme: The tag scheme of the file; by default detected from all of its tags.
        encoding: Of the file's text.
        skip_bad_lines: Leave out lines that cannot be read, with a warning that counts them, instead of refusing the
            file at the first one.
        strict: Refuse ill-formed tags, naming file and line. False reads them as conlleval does.
        label_namespace: Vocabulary namespace of the tags.
        max_instances: Read no more sentences than this.
    """

    shuffles_by_default = True

    def __init__(
        self,
        token_indexers: Optional[Dict[str, TokenIndexer]] = None,
        token_column: int = 0,
        tag_column: Optional[int] = -1,
        separator: Optional[str] = None,
        comment_prefix: Optional[str] = None,
        document_marker: Optional[str] = DOCUMENT_MARKER,
        coding_scheme: Optional[str] = None,
        source_scheme: Optional[str] = None,
        encoding: str = "utf-8",
        skip_bad_lines: bool = False,
        strict: bool = True,
        label_namespace: str = "labels",
        max_instances: Optional[int] = None,
    ) -> None:
        super().__init__(
            max_instances=max_instances, manual_distributed_sharding=True, manual_multiprocess_sharding=True
        )
        self._token_indexers = token_indexers or {"tokens": SingleIdTokenIndexer()}
        self._columns: Dict[str, Any] = {
            "token_column": token_column,
            "tag_column": tag_column,
            "separator": separator,
            "comment_prefix": comment_prefix,
            "document_marker": document_marker,
            "encoding": encoding,
        }
        self._skip_bad_lines = skip_bad_lines
        self._coding_scheme = get_scheme(coding_scheme).name if coding_scheme else None
        self._source_scheme = get_scheme(source_scheme).name if source_scheme else None
        self._strict = strict
        self._label_namespace = label_namespace

    def _read(self, file_path: str) -> Iterator[Instance]:
        skipped: List[DataError] = []
        report = skipping(skipped.append) if self._skip_bad_lines else None
        sentences = list(read_columns(cached_path(file_path), report=report, **self._columns))
        if skipped:
            logger.warning("%s: %d bad lines are left out, the first is %s", file_path, len(skipped), skipped[0])
        scheme = self._scheme_of(sentences)
        for sentence in self.shard_iterable(sentences):
            yield self._instance(sentence, scheme, file_path)

    def _instance(self, sentence: Sentence, scheme: Optional[str], path: str) -> Instance:
        tags = sentence.tags
        if tags is not None and scheme is not None:
            tags = convert(sentence, scheme, self._coding_scheme or scheme, strict=self._strict)
        metadata = {"document": sentence.document, "path": path, "line": sentence.lines[0]}
        return self.text_to_instance(sentence.tokens, tags, metadata)

    def _scheme_of(self, sentences: List[Sentence]) -> Optional[str]:
        """The scheme of a file, detected from all of its sentences whatever share this process reads."""
        if self._columns["tag_column"] is None:
            return None
        return self._source_scheme or detect_scheme(sentences, strict=self._strict)

    def text_to_instance(  # type: ignore[override]
        self,
        words: Iterable[str],
        tags: Optional[List[str]] = None,
        metadata: Optional[Dict[str, Any]] = None,
    ) -> Instance:
        """An instance of one sentence.

        Args:
            words: The words.
            tags: As many tags, in the coding scheme; they may be partial labels.
            metadata: Further entries for the `metadata` field.
        """
        words = list(words)
        text = TextField([Token(word) for word in words])
        fields: Dict[str, Field] = {"tokens": text, "metadata": MetadataField({"words": words, **(metadata or {})})}
        if tags is not None:
            fields["tags"] = TagsField(tags, text, self._label_namespace)
        return Instance(fields)

    def apply_token_indexers(self, instance: Instance) -> None:
        """Attaches the indexers; AllenNLP calls it in the process that indexes."""
        instance["tokens"].token_indexers = self._token_indexers  # type: ignore[attr-defined]
