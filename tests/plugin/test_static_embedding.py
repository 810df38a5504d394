import logging
from pathlib import Path

import pytest
import torch
from allennlp.common import Params
from allennlp.common.checks import ConfigurationError
from allennlp.data import Vocabulary
from allennlp.data.fields import TextField
from allennlp.data.tokenizers import Token
from allennlp.modules.token_embedders import TokenEmbedder
from allennlp.nn.util import get_text_field_mask

from elmo_tagger.plugin.embedder import ElmoHdf5Embedder
from elmo_tagger.plugin.indexer import ElmoHdf5Indexer

WORDS = ["Oslo", "river", "THE", "zzz"]


@pytest.fixture
def vectors(tmp_path: Path) -> str:
    path = tmp_path / "vectors.txt"
    path.write_text("Oslo 1 2\nriver 3 4\nthe 5 6\nunused 7 8\n")
    return str(path)


def vocabulary() -> Vocabulary:
    built = Vocabulary()
    for word in WORDS:
        built.add_token_to_namespace(word, "static_words")
    return built


def embedder(bilm_files: dict[str, str], vocab: Vocabulary, **static: object) -> ElmoHdf5Embedder:
    options = {"type": "elmo_hdf5", "dropout": 0.0, **bilm_files, "static": {"namespace": "static_words", **static}}
    built = TokenEmbedder.from_params(Params(options), vocab=vocab)
    assert isinstance(built, ElmoHdf5Embedder)
    return built.eval()


def tensors(sentence: list[str], vocab: Vocabulary) -> dict[str, torch.Tensor]:
    field = TextField([Token(word) for word in sentence], {"elmo": ElmoHdf5Indexer(static_namespace="static_words")})
    field.index(vocab)
    return field.batch_tensors([field.as_tensor(field.get_padding_lengths())])["elmo"]


def test_vectors_follow_those_of_the_bilm(bilm_files: dict[str, str], vectors: str) -> None:
    vocab = vocabulary()
    built = embedder(bilm_files, vocab, pretrained_file=vectors)
    assert built.get_output_dim() == 12 + 2
    batch = tensors([*WORDS, "never seen"], vocab)
    output = built(**batch)
    torch.testing.assert_close(output[0, :, 12:], torch.tensor([[1.0, 2], [3, 4], [5, 6], [0, 0], [0, 0]]))
    plain = TokenEmbedder.from_params(Params({"type": "elmo_hdf5", "dropout": 0.0, **bilm_files})).eval()
    torch.testing.assert_close(output[..., :12], plain(batch["elmo_tokens"]))


@pytest.mark.parametrize(
    ("static", "row_of_zzz"),
    [
        ({"oov": "mean"}, [3.0, 4.0]),
        ({"oov": "zero"}, [0.0, 0.0]),
        ({"oov": "mean", "lowercase_fallback": False}, [2, 3]),
    ],
)
def test_out_of_vocabulary_is_as_told(static: dict, row_of_zzz: list, bilm_files: dict[str, str], vectors: str) -> None:
    vocab = vocabulary()
    built = embedder(bilm_files, vocab, pretrained_file=vectors, **static)
    expected = torch.tensor(row_of_zzz, dtype=torch.float)
    for word in ("zzz", "@@UNKNOWN@@"):
        torch.testing.assert_close(built.static.weight[vocab.get_token_index(word, "static_words")].detach(), expected)
    assert not built.static.weight[0].any()


def test_coverage_is_logged(bilm_files: dict[str, str], vectors: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "elmo_tagger"):
        embedder(bilm_files, vocabulary(), pretrained_file=vectors)
    assert "75.0% of 4 words have a vector (2 as written, 1 in lower case, 1 missing)" in caplog.text


def test_rows_train_only_if_told(bilm_files: dict[str, str], vectors: str) -> None:
    vocab = vocabulary()
    for trainable in (False, True):
        built = embedder(bilm_files, vocab, pretrained_file=vectors, trainable=trainable)
        built(**tensors(WORDS, vocab)).sum().backward()
        assert (built.static.weight.grad is not None) is trainable


def test_rows_travel_with_the_weights(bilm_files: dict[str, str], vectors: str, tmp_path: Path) -> None:
    vocab = vocabulary()
    built = embedder(bilm_files, vocab, pretrained_file=vectors)
    torch.save({f"model.{key}": value for key, value in built.state_dict().items()}, tmp_path / "weights.th")
    # AllenNLP takes every "pretrained_file" out of the config of an archive.
    options = {"type": "elmo_hdf5", "dropout": 0.0, **bilm_files, "static": {"namespace": "static_words"}}
    again = TokenEmbedder.from_params(Params(options), vocab=vocab, serialization_dir=str(tmp_path)).eval()
    again.load_state_dict(built.state_dict())
    batch = tensors(WORDS, vocab)
    torch.testing.assert_close(again(**batch), built(**batch), atol=0, rtol=0)


def test_new_words_of_an_extended_vocabulary_get_rows(bilm_files: dict[str, str], vectors: str) -> None:
    vocab = vocabulary()
    built = embedder(bilm_files, vocab, pretrained_file=vectors)
    before = built.static.weight.detach().clone()
    vocab.add_token_to_namespace("unused", "static_words")
    vocab.add_token_to_namespace("neither", "static_words")
    built.static.extend_vocab(vocab, extension_pretrained_file=vectors)
    torch.testing.assert_close(built.static.weight.detach(), torch.cat([before, torch.tensor([[7.0, 8], [0, 0]])]))


def test_a_word_spelt_like_padding_is_a_word(bilm_files: dict[str, str], vectors: str) -> None:
    vocab = vocabulary()
    built = embedder(bilm_files, vocab, pretrained_file=vectors)
    batch = tensors(["Oslo", "@@PADDING@@", "river"], vocab)
    assert get_text_field_mask({"elmo": batch}).tolist() == [[True] * 3]
    assert built(**batch)[0, 1].any()


def test_new_words_without_a_file_are_out_of_vocabulary(bilm_files: dict[str, str], vectors: str) -> None:
    vocab = vocabulary()
    built = embedder(bilm_files, vocab, pretrained_file=vectors, oov="mean")
    vocab.add_token_to_namespace("neither", "static_words")
    built.static.extend_vocab(vocab)
    torch.testing.assert_close(built.static.weight[-1].detach(), torch.tensor([3.0, 4.0]))


@pytest.mark.parametrize(
    ("static", "message"),
    [
        ({}, "static: pretrained_file is missing"),
        ({"namespace": "elsewhere", "pretrained_file": "x"}, "no words in namespace 'elsewhere'.*static_namespace"),
        ({"namespace": "word_tags", "pretrained_file": "x"}, "namespace 'word_tags' has no padding"),
        ({"pretrainedfile": "x"}, "pretrainedfile"),
    ],
)
def test_static_options_that_do_not_fit_are_refused(static: dict, message: str, bilm_files: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=message):
        embedder(bilm_files, vocabulary(), **static)


def test_static_vectors_need_embedder_and_indexer(bilm_files: dict[str, str], vectors: str) -> None:
    vocab = vocabulary()
    batch = tensors(WORDS, vocab)
    with pytest.raises(ConfigurationError, match="only the embedder has its one"):
        embedder(bilm_files, vocab, pretrained_file=vectors)(batch["elmo_tokens"])
    plain = TokenEmbedder.from_params(Params({"type": "elmo_hdf5", **bilm_files}))
    with pytest.raises(ConfigurationError, match="only the indexer has its one"):
        plain(**batch)
