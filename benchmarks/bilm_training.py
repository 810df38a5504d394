"""A training step of the biLM beside the same model from AllenNLP's parts under plain autograd: same weights, one run.

    python benchmarks/bilm_training.py                                   one size
    python benchmarks/bilm_training.py --size original --device cuda --streams 128 --precision bfloat16

A step is forward, backward and AdaGrad's update, for `--streams` times `--steps` words of each direction, against
`--samples` negative samples of a vocabulary of `--words`. The peer is AllenNLP's character encoder, `ElmoLstm` and
`SampledSoftmaxLoss`; it is given as many words of the same text. `ratio` is the median over rounds, in which the two
take turns. With `--precision bfloat16` the peer computes in float32 all the same, as it always does. The data loader is
measured alone: text on the disk to batches.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import measure
import torch
from material import SIZES, raw_options, sentences

from elmo_tagger.bilm import Options
from elmo_tagger.bilm.training import (
    BilmLanguageModel,
    Encoder,
    LmBatch,
    LmVocabulary,
    StreamBatches,
    StreamOptions,
    count_words,
    prepare,
)

Step = Callable[[LmBatch], None]


def text_of(directory: Path, count: int, words: int) -> tuple[Callable[[StreamOptions], StreamBatches], str]:
    """Batches of real text, or of made-up sentences; and which of the two."""
    stream, source = sentences()
    file = directory / "text.txt"
    with file.open("w", encoding="utf-8") as out:
        for _, sentence in zip(range(count), stream, strict=False):
            out.write(" ".join(sentence) + "\n")
    found = count_words([file]).vocabulary(size=words).words
    # a short text has fewer words than the softmax is to have
    filled = [*found, *(f"<made-up-{number}>" for number in range(words - len(found)))]
    corpus = prepare([file], directory / "prepared")
    encoder = Encoder(corpus, LmVocabulary(filled), max_characters=50)
    return lambda options: StreamBatches(encoder, corpus.sentences(), options), source


def our_step(model: BilmLanguageModel) -> Step:
    """Ours."""
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01)

    def step(batch: LmBatch) -> None:
        optimizer.zero_grad()
        (model(batch)[0] / (2 * batch.words)).backward()
        optimizer.step()

    return step


def stock_step(model: BilmLanguageModel, directory: Path, samples: int, device: str) -> Step:
    """AllenNLP's parts with the same weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from allennlp.modules.elmo import _ElmoCharacterEncoder
        from allennlp.modules.elmo_lstm import ElmoLstm
        from allennlp.modules.sampled_softmax_loss import SampledSoftmaxLoss

    model.bilm.save(directory)
    files = str(directory / "options.json"), str(directory / "weights.hdf5")
    shape = model.bilm.options.lstm
    encoder = _ElmoCharacterEncoder(*files, requires_grad=True)
    lstm = ElmoLstm(
        input_size=shape.projection_dim,
        hidden_size=shape.projection_dim,
        cell_size=shape.dim,
        num_layers=shape.n_layers,
        memory_cell_clip_value=shape.cell_clip,
        state_projection_clip_value=shape.proj_clip,
        requires_grad=True,
    )
    lstm.load_weights(files[1])
    softmax = SampledSoftmaxLoss(len(model.softmax.W), shape.projection_dim, samples)
    peer = torch.nn.ModuleList([encoder, lstm, softmax]).to(device).train()
    optimizer = torch.optim.Adagrad(peer.parameters(), lr=0.01)

    def step(batch: LmBatch) -> None:
        streams = batch.sizes[0]
        # the encoder adds the two boundaries itself
        ids = batch.character_ids[batch.rows[0]].view(-1, streams, 50)[2:].transpose(0, 1).long()
        optimizer.zero_grad()
        encoded = encoder(ids)
        top = lstm(encoded["token_embedding"], encoded["mask"])[-1]
        halves = [half.flatten(0, 1) for half in top.chunk(2, dim=-1)]
        losses = [softmax(half, targets) for half, targets in zip(halves, batch.targets, strict=True)]
        (sum(losses) / (2 * batch.words)).backward()
        optimizer.step()

    return step


def on(device: str, batch: LmBatch) -> LmBatch:
    """A batch on the device."""
    moved = (getattr(batch, name).to(device) for name in ("character_ids", "rows", "targets"))
    return LmBatch(*moved, sizes=batch.sizes, carried=batch.carried)


def loader_rate(batches: StreamBatches, seconds: float) -> float:
    """Words a second of each direction, from the disk to batches."""
    batches.batch(0, 0)
    begin, words, number = time.perf_counter(), 0, 0
    while time.perf_counter() - begin < seconds:
        words += batches.batch(0, number % batches.count(0)).words
        number += 1
    return words / (time.perf_counter() - begin)


def endless(batches: StreamBatches, device: str) -> Iterator[LmBatch]:
    """Full batches, over and over."""
    while True:
        for number in range(batches.count(0) - 1):
            yield on(device, batches.batch(0, number))


def compare(arguments: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """All numbers of one size."""
    make, source = text_of(directory, arguments.sentences, arguments.words)
    batches = make(StreamOptions(streams=arguments.streams, steps=arguments.steps))
    device = arguments.device
    model = BilmLanguageModel(
        Options.from_dict(raw_options(arguments.size)),
        arguments.words,
        samples=arguments.samples,
        dropout=0.0,
        precision=arguments.precision,
    ).train()
    ours, stock = our_step(model.to(device)), stock_step(model, directory, arguments.samples, device)
    stream = endless(batches, device)

    def round_of(_number: int) -> dict[str, Callable[[], Any]]:
        batch = next(stream)
        return {"ours": lambda: ours(batch), "AllenNLP": lambda: stock(batch)}

    times = measure.take_turns(round_of, budget=arguments.seconds, device=device, least=3)
    words = arguments.streams * arguments.steps
    rates = {name: words / measure.median(times, name) for name in ("ours", "AllenNLP")}
    full = make(StreamOptions(streams=128, steps=20)) if arguments.sentences >= 1000 else batches
    loading = loader_rate(full, 2.0)
    return {
        "size": arguments.size,
        "text": source,
        "streams": arguments.streams,
        "steps": arguments.steps,
        "vocabulary": arguments.words,
        "samples": arguments.samples,
        "precision": arguments.precision,
        "rounds": len(times),
        "tokens_per_second": {name: round(rate) for name, rate in rates.items()},
        "ratio": round(measure.ratio(times, "ours", "AllenNLP"), 2),
        "loader_tokens_per_second": round(loading),
        "loader_over_model": round(loading / rates["ours"], 1),
        "machine": measure.machine(device),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--words", type=int, default=50_000)
    parser.add_argument("--samples", type=int, default=8192)
    parser.add_argument("--sentences", type=int, default=20_000)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as directory:
        found = compare(arguments, Path(directory))
    for name, value in found.items():
        print(f"{name:26} {value}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
