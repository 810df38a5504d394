"""A step of fine-tuning the biLM beside AllenNLP's `Elmo`: same weights, same sentences, one run.

    python benchmarks/fine_tuning.py

A step is: gradients to zero, character ids to the mix of all layers, the mean of its squares, backward, Adam.
`difference` is the largest between the two sides' gradients of the first round, over all parameters, relative to the
largest of the parameter's gradient.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import torch
from contenders import load_ours, load_stock
from material import SIZES, save_random, sentences
from table import Table, command_line
from torch import Tensor

from elmo_tagger.bilm import ScalarMix, encode_sentences

COLUMNS = {
    "size": ("size", "<9"),
    "batch": ("batch", ">5"),
    "ratio": ("ratio", ">6.1f"),
    "tokens/s": ("tokens_per_second", ">9.0f"),
    "allennlp": ("allennlp_tokens_per_second", ">9.0f"),
    "difference": ("difference", ">10.1e"),
    "rounds": ("rounds", ">6"),
}


def gradients(size: str, ours: torch.nn.Module, stock: torch.nn.Module) -> float:
    """The largest relative difference between gradients that have the same meaning."""
    theirs = dict(stock.named_parameters())
    encoder = "_elmo_lstm._elmo_lstm"
    worst = 0.0
    for layer in range(2):
        own = ours.lstm.layers[layer]
        for direction, name in enumerate(("forward", "backward")):
            cell = f"{encoder}.{name}_layer_{layer}"
            inputs, states = theirs[f"{cell}.input_linearity.weight"], theirs[f"{cell}.state_linearity.weight"]
            # AllenNLP has the input apart from the state, transposed, and the forget gate before the candidate
            enter, forget, candidate, leave = torch.cat([inputs.grad, states.grad], dim=1).t().chunk(4, dim=1)
            expected = torch.cat([enter, candidate, forget, leave], dim=1)
            worst = max(worst, _relative(own.W_0.grad[direction], expected))
            projection = theirs[f"{cell}.state_projection.weight"].grad.t()
            worst = max(worst, _relative(own.W_P_0.grad[direction], projection))
    projection = theirs["_elmo_lstm._token_embedder._projection.weight"].grad.t()
    return max(worst, _relative(ours.char_cnn.W_proj.grad, projection))


def _relative(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).abs().max() / expected.abs().max())


def row(size: str, batch: int, args: argparse.Namespace) -> dict[str, Any]:
    """One line of the table."""
    text, _ = sentences(args.text)
    with tempfile.TemporaryDirectory() as directory:
        save_random(size, Path(directory))
        stock = load_stock(Path(directory), args.device).requires_grad_(True)
        ours = load_ours(Path(directory), args.device, "float32").requires_grad_(True)
    mix = ScalarMix(ours.num_layers).to(args.device)
    optimizers = {
        "allennlp": torch.optim.Adam(stock.parameters(), lr=1e-6),
        "ours": torch.optim.Adam([*ours.parameters(), *mix.parameters()], lr=1e-6),
    }
    tokens, differences = [], []

    def rounds(number: int) -> dict[str, Callable[[], Any]]:
        if number == 1:
            differences.append(gradients(size, ours, stock))
        words = [next(text) for _ in range(batch)]
        tokens.append(sum(map(len, words)))
        ids = torch.from_numpy(encode_sentences(words)).long().to(args.device)

        def step(name: str) -> None:
            optimizers[name].zero_grad()
            if name == "ours":
                mixed = mix(list(ours(ids).layers.values()))
            else:
                stock._elmo_lstm._elmo_lstm.reset_states()
                mixed = stock(ids)["elmo_representations"][0]
            mixed.square().mean().backward()
            optimizers[name].step()

        return {name: lambda name=name: step(name) for name in optimizers}

    times = measure.take_turns(rounds, budget=args.seconds, device=args.device, least=2, most=args.rounds)
    return {
        "size": size,
        "batch": batch,
        "ratio": measure.ratio(times, "ours", "allennlp"),
        "tokens_per_second": sum(tokens[1:]) / sum(each["ours"] for each in times),
        "allennlp_tokens_per_second": sum(tokens[1:]) / sum(each["allennlp"] for each in times),
        "difference": differences[0],
        "rounds": len(times),
    }


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = command_line(__doc__, seconds=60.0, rounds=20)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=["original", "small"])
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32], help="sentences")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    table = Table(COLUMNS, device=args.device)
    for size in args.size:
        for batch in args.batch:
            table.add(row(size, batch, args))
    table.save(args.json)


if __name__ == "__main__":
    main()
