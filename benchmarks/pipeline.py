"""From a file to tensors beside AllenNLP's pipeline: the same CoNLL-2003 columns, the same batches, one run.

    python benchmarks/pipeline.py
    python benchmarks/pipeline.py --size small      beside a smaller biLM, which consumes more

Stock: reader `conll2003` and indexer `elmo_characters`; ours: `conll_columns` and `elmo_hdf5`. `first pass` reads the
file, makes the vocabulary of tags, indexes and batches; `later epoch` batches instances that are in memory, as every
epoch but the first does. `biLM` is what the frozen biLM consumes on the same device, from character ids to the mix of
its layers, in bfloat16 and 256 sentences at a time; `to it` is our pipeline's rate by that, and above 1 it keeps up.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measure
import torch
from contenders import load_ours, our_embed
from corpus import write_columns
from material import SIZES, save_random, sentences
from table import Table

from elmo_tagger.bilm import encode_sentences

COLUMNS = {
    "what": ("what", "<11"),
    "ratio": ("ratio", ">6.1f"),
    "tokens/s": ("tokens_per_second", ">9.0f"),
    "allennlp": ("allennlp_tokens_per_second", ">9.0f"),
    "biLM": ("bilm_tokens_per_second", ">9.0f"),
    "to it": ("bilm_ratio", ">7.1f"),
}


def loaders() -> dict[str, Callable[[Path, int, str], Any]]:
    """For each side what makes an indexed data loader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from allennlp.data import Vocabulary
        from allennlp.data.data_loaders import MultiProcessDataLoader
        from allennlp.data.token_indexers import ELMoTokenCharactersIndexer
        from allennlp_models.tagging import Conll2003DatasetReader

        from elmo_tagger.plugin.indexer import ElmoHdf5Indexer
        from elmo_tagger.plugin.reader import ConllColumnsReader

    def loader(reader: Any, path: Path, batch: int, device: str) -> Any:
        where = torch.device(device) if device == "cuda" else None
        made = MultiProcessDataLoader(reader, str(path), batch_size=batch, quiet=True, cuda_device=where)
        made.index_with(Vocabulary.from_instances(made.iter_instances()))
        return made

    def ours(*arguments: Any) -> Any:
        return loader(ConllColumnsReader({"elmo": ElmoHdf5Indexer()}, coding_scheme="BIOUL"), *arguments)

    def stock(*arguments: Any) -> Any:
        indexers = {"elmo": ELMoTokenCharactersIndexer()}
        return loader(Conll2003DatasetReader(indexers, coding_scheme="BIOUL"), *arguments)

    return {"ours": ours, "allennlp": stock}


def tokens_of(loader: Any) -> int:
    """Go through all batches; words in them."""
    return sum(int((batch["tokens"]["elmo"]["elmo_tokens"][..., 0] > 0).sum()) for batch in loader)


def bilm_rate(size: str, source: Path | None, device: str, rounds: int) -> float:
    """Tokens a second of the frozen biLM; on a CPU it has met the words of a batch before, as in a later epoch."""
    with tempfile.TemporaryDirectory() as directory:
        save_random(size, Path(directory))
        embed = our_embed(load_ours(Path(directory), device, "bfloat16"))
    text, _ = sentences(source)
    words = [next(text) for _ in range(256)]
    ids = torch.from_numpy(encode_sentences(words)).long().to(device)
    with torch.no_grad():
        times = measure.take_turns(lambda _: {"bilm": lambda: embed(ids)}, budget=0, device=device, least=rounds)
    return sum(map(len, words)) / measure.median(times, "bilm")


def main() -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", choices=SIZES, default="original", help="of the biLM")
    parser.add_argument("--text", type=Path, help="directory with tokenised text, one sentence a line, *.xz")
    parser.add_argument("--json", type=Path, help="file to write")
    args = parser.parse_args()
    make = loaders()
    table = Table(COLUMNS, device=args.device)
    consumed = bilm_rate(args.size, args.text, args.device, min(args.rounds, 3))
    table.report["bilm"] = args.size
    with tempfile.TemporaryDirectory() as directory:
        columns = Path(directory) / "eng.train"
        write_columns(columns, sentences(args.text)[0], args.sentences)
        counts = {name: tokens_of(build(columns, args.batch, args.device)) for name, build in make.items()}
        assert len(set(counts.values())) == 1, counts
        tokens = counts["ours"]
        kept: dict[str, Any] = {}

        def first(number: int) -> dict[str, Callable[[], Any]]:
            gc.collect()
            return {
                name: lambda b=build: tokens_of(b(columns, args.batch, args.device)) for name, build in make.items()
            }

        def later(number: int) -> dict[str, Callable[[], Any]]:
            # made late: while the first pass is measured nothing else is in memory for the garbage collector to visit
            kept.update(
                {name: build(columns, args.batch, args.device) for name, build in make.items()} if not kept else {}
            )
            gc.collect()
            return {name: lambda loader=loader: tokens_of(loader) for name, loader in kept.items()}

        table.report["tokens"] = tokens
        for name, rounds in (("first pass", first), ("later epoch", later)):
            times = measure.take_turns(rounds, budget=0, device=args.device, least=args.rounds)
            made = tokens / measure.median(times, "ours")
            table.add(
                {
                    "what": name,
                    "ratio": measure.ratio(times, "ours", "allennlp"),
                    "tokens_per_second": made,
                    "allennlp_tokens_per_second": tokens / measure.median(times, "allennlp"),
                    "bilm_tokens_per_second": consumed,
                    "bilm_ratio": made / consumed,
                }
            )
    table.save(args.json)


if __name__ == "__main__":
    main()
