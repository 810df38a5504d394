"""A trained language model, softmax included, and its perplexity on text files."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from elmo_tagger.archives import open_archive
from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.bilm.loading.checkpoint import CheckpointError
from elmo_tagger.bilm.loading.uninitialized import Uninitialized
from elmo_tagger.bilm.options import Options
from elmo_tagger.bilm.training.batches import Encoder
from elmo_tagger.bilm.training.language_model import BilmLanguageModel
from elmo_tagger.bilm.training.perplexity import Perplexity
from elmo_tagger.bilm.training.preparation import prepare
from elmo_tagger.bilm.training.vocabulary import LmVocabulary
from elmo_tagger.bilm.training.whole_sentences import SentenceBatches, SentenceOptions

_PREFIX = "language_model."
_VOCABULARY = "vocabulary/lm_words.txt"


def load_language_model(source: str | Path) -> tuple[BilmLanguageModel, LmVocabulary]:
    """Load what a training of a biLM leaves: both language models with their softmax, and the words they predict.

    Args:
        source: The archive of a training, or its directory.

    Raises:
        CheckpointError: It is no such training. An `.hdf5` is none: it holds no softmax, so nothing is predicted.
        ArchiveError: It is damaged.
        VocabularyError: Its words are no vocabulary.
        OSError: It cannot be read.
    """
    path = Path(source)
    if path.suffix.lower() in (".hdf5", ".h5") or (path / "weights.hdf5").is_file():
        raise CheckpointError(
            f"{source}: expected the archive or directory of a biLM's training: an .hdf5 file holds no softmax, so it "
            "predicts no words and has no perplexity"
        )
    with open_archive(path) as archive:
        weights = archive.weights()
        found = checkpoint.described(weights, source=str(source))
        state = {name.removeprefix(_PREFIX): value for name, value in weights.items() if name.startswith(_PREFIX)}
        if len(found) != 1 or "softmax.W" not in state:
            raise CheckpointError(
                f"{source}: expected the training of a biLM (elmo_bilm), with its softmax; received another's"
            )
        vocabulary = LmVocabulary.from_file(archive.directory / _VOCABULARY)
    with Uninitialized():
        model = BilmLanguageModel(Options.from_dict(found[0].description["options"]), len(vocabulary))
    if model.softmax.W.shape != state["softmax.W"].shape:
        raise CheckpointError(
            f"{source}: its softmax predicts {len(state['softmax.W'])} words, its vocabulary has {len(vocabulary)}"
        )
    model.load_state_dict(state)
    return model.eval(), vocabulary


@torch.inference_mode()
def perplexity_of(
    model: BilmLanguageModel,
    vocabulary: LmVocabulary,
    files: Sequence[str | Path],
    *,
    words: int = 2560,
) -> Perplexity:
    """The perplexity on text, one tokenised sentence a line: whole sentences, exact softmax.

    Args:
        model: The language model.
        vocabulary: The words that it predicts; others count as `<UNK>`.
        files: Plain text, `.gz` or `.xz`.
        words: Words of a batch, at most.

    Raises:
        CorpusError: The text has no tokens.
        DataError: A file is not UTF-8.
        OSError: A file cannot be read.
    """
    found = Perplexity()
    with tempfile.TemporaryDirectory() as directory:
        corpus = prepare(files, Path(directory) / "text")
        encoder = Encoder(corpus, vocabulary, max_characters=model.bilm.options.char_cnn.max_characters_per_token)
        batches = SentenceBatches(encoder, corpus.sentences(), SentenceOptions(words=words))
        for number in range(batches.count(0)):
            batch = batches.batch(0, number)
            _, sums = model(batch)
            forward, backward = sums.tolist()
            found.add(forward, backward, batch.words)
    return found
