from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from elmo_tagger.bilm import Bilm, Options, encode_sentences
from elmo_tagger.bilm.loading.checkpoint import CheckpointError
from elmo_tagger.bilm.training import (
    BilmLanguageModel,
    Corpus,
    Encoder,
    LmBatch,
    LmVocabulary,
    Perplexity,
    SentenceBatches,
    SentenceOptions,
    StreamBatches,
    StreamOptions,
    export,
    language_model,
)
from tests.bilm.random_models import TOLERANCE, named_weights, random_bilm, raw_options
from tests.bilm.training.texts import SENTENCES, corpus_of, grammar, vocabulary_of
from tests.reference.language_model import sentence_losses

CHARACTERS = 12  # of `raw_options`


def model_of(words: int, *, raw: dict | None = None, **options) -> BilmLanguageModel:
    """A language model with random weights that reach the clips."""
    torch.manual_seed(3)
    model = BilmLanguageModel(Options.from_dict(raw or raw_options()), words, **{"dropout": 0.0, **options})
    model.bilm.load_state_dict(random_bilm(raw).state_dict())
    with torch.no_grad():
        model.softmax.b.normal_()
    return model.train()


def batches_of(kind, corpus: Corpus, vocabulary: LmVocabulary, options) -> list[LmBatch]:
    batches = kind(Encoder(corpus, vocabulary, max_characters=CHARACTERS), corpus.sentences(), options)
    return [batches.batch(0, number) for number in range(batches.count(0))]


def perplexity_of(model: BilmLanguageModel, batches: list[LmBatch]) -> Perplexity:
    found = Perplexity()
    with torch.no_grad():
        for batch in batches:
            found.add(*model.eval()(batch)[1].tolist(), batch.words)
    return found


@pytest.mark.parametrize("skips", [True, False])
def test_held_out_perplexity_beside_brute_force(skips: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy, one word, one LSTM step and one softmax at a time; in one chunk, and in several."""
    corpus, vocabulary = corpus_of(tmp_path), vocabulary_of(tmp_path, size=14)
    model = model_of(len(vocabulary), raw=raw_options(use_skip_connections=skips), samples=5)
    softmax = [parameter.detach().double().numpy() for parameter in (model.softmax.W, model.softmax.b)]
    numbers = {word: number for number, word in enumerate(vocabulary.words)}
    raw, weights = model.bilm.options.to_dict(), named_weights(model.bilm)
    nats = sum(sentence_losses(s.split(), numbers, raw, weights, softmax) for s in SENTENCES)
    words = sum(len(s.split()) + 1 for s in SENTENCES)
    expected = {
        "perplexity": math.exp(nats.sum() / 2 / words),
        "forward_perplexity": math.exp(nats[0] / words),
        "backward_perplexity": math.exp(nats[1] / words),
    }
    for at_once in (10_000, 3):
        monkeypatch.setattr(language_model, "_WORDS_AT_ONCE", at_once)
        found = perplexity_of(model, batches_of(SentenceBatches, corpus, vocabulary, SentenceOptions(words=20)))
        assert found.words == words
        assert found.scores() == pytest.approx(expected, rel=TOLERANCE)


def test_streams_go_on_where_they_stopped(tmp_path: Path) -> None:
    """Windows of 4 steps with carried state give the losses of one window over the whole text."""
    corpus, vocabulary = corpus_of(tmp_path), vocabulary_of(tmp_path)
    sums = []
    for steps in (4, 1000):
        model = model_of(len(vocabulary))
        batches = batches_of(StreamBatches, corpus, vocabulary, StreamOptions(streams=3, steps=steps, shuffle=False))
        sums.append(sum(model(batch)[1] for batch in batches))
    assert len(batches) == 1
    torch.testing.assert_close(sums[0], sums[1], atol=1e-3, rtol=0)  # a sum of some hundred losses
    model.carried = None
    apart = model_of(len(vocabulary))
    without = []
    for batch in batches_of(StreamBatches, corpus, vocabulary, StreamOptions(streams=3, steps=4, shuffle=False)):
        apart.carried = None
        without.append(apart(batch)[1])
    assert (sum(without) - sums[0]).abs().min() > 0.1


def test_whole_sentences_leave_the_streams_alone(tmp_path: Path) -> None:
    corpus, vocabulary = corpus_of(tmp_path), vocabulary_of(tmp_path)
    model = model_of(len(vocabulary))
    model(batches_of(StreamBatches, corpus, vocabulary, StreamOptions(streams=2, steps=5))[0])
    before = model.carried
    perplexity_of(model, batches_of(SentenceBatches, corpus, vocabulary, SentenceOptions()))
    assert model.carried is before
    assert not before[0][0].requires_grad


def test_gradients_are_those_of_the_plain_engine(tmp_path: Path) -> None:
    """The same losses through `Bilm` and cross-entropy, whole sentences, gradients of all parameters."""
    corpus, vocabulary = corpus_of(tmp_path), vocabulary_of(tmp_path)
    model = model_of(len(vocabulary)).double()
    (batch,) = batches_of(SentenceBatches, corpus, vocabulary, SentenceOptions(words=1000))
    total, _ = model(batch)
    own = torch.autograd.grad(total, list(model.parameters()))

    sentences = [s.split() for s in SENTENCES]
    ids = torch.from_numpy(encode_sentences(sentences, max_characters=CHARACTERS))
    top = model.bilm(ids, keep_boundaries=True).layers[2]
    width = top.shape[-1] // 2
    plain = torch.zeros((), dtype=torch.float64)
    for row, sentence in enumerate(sentences):
        targets = torch.from_numpy(vocabulary.numbers(["<S>", *sentence, "</S>"]))
        hidden = torch.cat([top[row, : len(sentence) + 1, :width], top[row, 1 : len(sentence) + 2, width:]])
        logits = hidden @ model.softmax.W.T + model.softmax.b
        plain = plain + torch.nn.functional.cross_entropy(
            logits, torch.cat([targets[1:], targets[:-1]]), reduction="sum"
        )
    assert total.item() == pytest.approx(plain.item(), rel=TOLERANCE)
    for left, right in zip(own, torch.autograd.grad(plain, list(model.parameters())), strict=True):
        torch.testing.assert_close(left, right, atol=TOLERANCE, rtol=TOLERANCE)


def test_dropout_changes_training_alone(tmp_path: Path) -> None:
    corpus, vocabulary = corpus_of(tmp_path), vocabulary_of(tmp_path)
    (batch,) = batches_of(SentenceBatches, corpus, vocabulary, SentenceOptions(words=1000))
    plain, dropped = model_of(len(vocabulary)), model_of(len(vocabulary), dropout=0.4)
    torch.manual_seed(0)
    first, second = dropped(batch)[0].item(), dropped(batch)[0].item()
    assert len({first, second, plain(batch)[0].item()}) == 3
    assert dropped.eval()(batch)[0].item() == plain.eval()(batch)[0].item()


@pytest.mark.parametrize("samples", [None, 8])
def test_bfloat16_is_near_float32(samples: int | None, tmp_path: Path) -> None:
    corpus, vocabulary = corpus_of(tmp_path), vocabulary_of(tmp_path)
    batches = batches_of(StreamBatches, corpus, vocabulary, StreamOptions(streams=3, steps=8))
    losses, slopes, exact = [], [], []
    for precision in ("float32", "bfloat16"):
        model = model_of(len(vocabulary), precision=precision, samples=samples)
        torch.manual_seed(0)
        total = sum(model(batch)[0] for batch in batches)
        total.backward()
        losses.append(total.detach())
        slopes.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
        assert {part.dtype for state in model.carried for part in state} == {torch.float32}
        assert slopes[-1].dtype == torch.float32
        model.carried = None
        exact.append(model.eval()(batches[0])[1])
    assert torch.equal(*exact)
    torch.testing.assert_close(losses[1], losses[0], rtol=0.02, atol=0)  # 8 bits of mantissa
    assert losses[0] != losses[1]
    assert torch.cosine_similarity(*slopes, dim=0) > 0.98


@pytest.mark.parametrize(
    ("mode", "samples", "optimizer"),
    [
        ("streams", None, lambda p: torch.optim.AdamW(p, lr=0.01)),
        ("streams", 30, lambda p: torch.optim.Adagrad(p, lr=0.2, initial_accumulator_value=0.1)),
        ("sentences", None, lambda p: torch.optim.AdamW(p, lr=0.01)),
    ],
)
def test_training_learns_which_words_follow_from_others(
    mode: str, samples: int | None, optimizer, tmp_path: Path
) -> None:
    """A grammar in which names tell places: far below the perplexity of the words' frequencies."""
    sentences = grammar(1000)
    corpus, vocabulary = corpus_of(tmp_path, sentences), vocabulary_of(tmp_path)
    raw = raw_options(dim=24, projection_dim=12, filters=[[1, 8], [2, 16], [3, 16]])
    torch.manual_seed(0)
    model = BilmLanguageModel(Options.from_dict(raw), len(vocabulary), samples=samples, dropout=0.0)
    encoder = Encoder(corpus, vocabulary, max_characters=CHARACTERS)
    train = corpus.sentences("train", 0.05)
    if mode == "streams":
        batches = StreamBatches(encoder, train, StreamOptions(streams=16, steps=10))
    else:
        batches = SentenceBatches(encoder, train, SentenceOptions(words=160, shuffle=True))
    update = optimizer(model.parameters())
    for epoch in range(3):
        for number in range(batches.count(epoch)):
            batch = batches.batch(epoch, number)
            update.zero_grad()
            (model(batch)[0] / batch.words).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            update.step()
    held_out = SentenceBatches(encoder, corpus.sentences("held_out", 0.05), SentenceOptions())
    found = perplexity_of(model, [held_out.batch(0, n) for n in range(held_out.count(0))]).scores()
    words = [word for sentence in sentences for word in (*sentence.split(), "</S>")]
    shares = np.array(list(Counter(words).values())) / len(words)
    unigram = math.exp(-(shares * np.log(shares)).sum())
    assert unigram > 20
    assert found["forward_perplexity"] < 0.5 * unigram
    assert found["backward_perplexity"] < 0.5 * unigram


def test_the_weights_alone_tell_the_bilm(tmp_path: Path) -> None:
    model = model_of(5)
    torch.save(model.state_dict(), tmp_path / "best.th")
    path = export(tmp_path, tmp_path / "out")
    exported = Bilm.load(tmp_path / "out" / "options.json", path)
    for name, parameter in model.bilm.named_parameters():
        assert torch.equal(dict(exported.named_parameters())[name], parameter), name
    other = model_of(5, raw=raw_options(n_layers=1))
    with pytest.raises(RuntimeError, match=r"the weights hold a biLM with the options .* but the model was built with"):
        other.load_state_dict(model.state_dict(), strict=False)


def test_a_training_that_is_not_over_is_exported_from_its_last_checkpoint(tmp_path: Path) -> None:
    models = {
        name: model_of(5, raw=raw_options(dim=dim)) for name, dim in (("e0_b90", 7), ("e1_b0", 8), ("e0_b800", 9))
    }
    for name, model in models.items():
        torch.save(model.state_dict(), tmp_path / f"model_state_{name}.th")
    export(tmp_path, tmp_path / "out", dtype="float16")
    assert Options.from_file(tmp_path / "out" / "options.json").lstm.dim == 8
    size = (tmp_path / "out" / "weights.hdf5").stat().st_size
    export(tmp_path, tmp_path / "out")
    assert size < (tmp_path / "out" / "weights.hdf5").stat().st_size
    torch.save({"weight": torch.ones(1)}, tmp_path / "model_state_e2_b0.th")
    with pytest.raises(
        CheckpointError, match=r"model_state_e2_b0\.th: expected a model with one biLM, this one has 0$"
    ):
        export(tmp_path, tmp_path / "out")


def test_an_untrained_model_has_a_perplexity_too() -> None:
    found = Perplexity()
    assert found.scores() == {"perplexity": 0.0, "forward_perplexity": 0.0, "backward_perplexity": 0.0}
    found.add(1e6, 0.0, 1)
    assert found.scores() == {"perplexity": 1e300, "forward_perplexity": 1e300, "backward_perplexity": 1.0}


def test_wrong_arguments() -> None:
    options = Options.from_dict(raw_options())
    with pytest.raises(ValueError, match=r"^dropout: expected a probability below 1, received 1$"):
        BilmLanguageModel(options, 5, dropout=1)
    with pytest.raises(ValueError, match=r"^precision: expected one of float32, bfloat16, received 'float16'$"):
        BilmLanguageModel(options, 5, precision="float16")
