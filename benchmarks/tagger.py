"""A trained tagger in use: how long until the first entity, how many tokens a second, and how much memory.

    python benchmarks/tagger.py start runs/quickstart/model.tar.gz     processor time of whole processes
    python benchmarks/tagger.py pipe runs/quickstart/model.tar.gz      10,000 sentences beside `allennlp predict`'s way
    python benchmarks/tagger.py spacy runs/quickstart/model.tar.gz --train train.conll    and beside spaCy's `ner`
    python benchmarks/tagger.py memory runs/quickstart/model.tar.gz --lines corpus.txt.xz --sentences 1000000

Processor time is what other work on the machine adds least to; all contenders of a row run in turns. `pipe` gives both
sides the same raw sentences; `allennlp` is the predictor `entities` with batches of 32, its start not counted. `spacy`
trains spaCy's `ner` over its default `tok2vec` on the same columns before both tag the same texts; with `--pipelines`
those that are trained already take its place, and `start` measures them too. The hardware's limit
is that of the products that every token needs, at the speed of a large square product. For `memory` give lines of ever
new text, since words that were met before take no memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

TEXT = "Emma Norley left Hartdal Energy in May."


def processor_seconds(command: list[str], stdin: str = "") -> float:
    """Processor time of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, input=stdin, text=True, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start(model: str, rounds: int, pipelines: Iterable[Path] = ()) -> dict[str, float]:
    """From the start of a process to the first entity, in seconds of processor time, and the ratios."""
    ours = f"import elmo_tagger; print(elmo_tagger.load({model!r})({TEXT!r}).entities)"
    imports = [sys.executable, "-c", "import torch, spacy"]
    allennlp = [sys.executable, "-m", "allennlp", "predict", model, "-", "--silent"]
    runs: dict[str, Callable[[], float]] = {
        "elmo_tagger": lambda: processor_seconds([sys.executable, "-c", ours]),
        "import torch, spacy": lambda: processor_seconds(imports),
        "allennlp predict": lambda: processor_seconds(allennlp, stdin=json.dumps({"text": TEXT}) + "\n"),
    }
    if Path(model).suffixes[-2:] != [".tar", ".gz"]:
        del runs["allennlp predict"]  # which reads archives alone
    for folder in pipelines:
        spacy = [sys.executable, "-c", f"import spacy; print(spacy.load({str(folder)!r})({TEXT!r}).ents)"]
        runs[str(folder)] = partial(processor_seconds, spacy)
    times = [{name: run() for name, run in runs.items()} for _ in range(rounds)]
    found = {name: statistics.median(each[name] for each in times) for name in runs}
    for peer in list(runs)[1:]:
        found[f"of {peer}"] = statistics.median(each["elmo_tagger"] / each[peer] for each in times)
    return found


def texts_of(path: Path, count: int) -> list[str]:
    """Sentences of a column file as raw text, repeated in another order until there are enough."""
    from elmo_tagger.text.columns import read_columns

    sentences = [" ".join(sentence.tokens) for sentence in read_columns(path)]
    shuffled = random.Random(1)
    endless = itertools.chain.from_iterable(shuffled.sample(sentences, len(sentences)) for _ in itertools.count())
    return list(itertools.islice(endless, count))


def rate(tag: Callable[[list[str]], int], texts: list[str]) -> float:
    """Tokens a second of processor time."""
    begin = time.process_time()
    tokens = tag(texts)
    return tokens / (time.process_time() - begin)


def in_turns(sides: dict[str, Callable[[list[str]], int]], texts: list[str], parts: int) -> dict[str, float]:
    """Tokens a second of each side, and how many times as fast as each other side the first is, part by part."""
    size = len(texts) // parts
    rates: list[dict[str, float]] = []
    for side in sides.values():
        side(texts[:100])  # met once, as in a running service
    for part in range(parts):
        piece = texts[part * size : (part + 1) * size]
        rates.append({name: rate(side, piece) for name, side in sides.items()})
    found = {f"{name} tokens/s": statistics.median(each[name] for each in rates) for name in sides}
    first, *others = sides
    for other in others:
        found[f"times {other}"] = statistics.median(each[first] / each[other] for each in rates)
    return found


def our_side(model: str) -> Callable[[list[str]], int]:
    """Tags by `Tagger.pipe`."""
    import elmo_tagger

    tagger = elmo_tagger.load(model)
    return lambda texts: sum(len(document.tokens) for document in tagger.pipe(texts))


def allennlp_side(model: str) -> Callable[[list[str]], int]:
    """Tags as `allennlp predict --batch-size 32` does, once started."""
    from allennlp.models.archival import load_archive
    from allennlp.predictors import Predictor

    import elmo_tagger.plugin  # noqa: F401  (registers everything)

    predictor = Predictor.from_archive(load_archive(model), "entities")

    def tag(texts: list[str]) -> int:
        tokens = 0
        for first in range(0, len(texts), 32):
            lines = [json.dumps({"text": text}) for text in texts[first : first + 32]]
            for output in predictor.predict_batch_json([predictor.load_line(line) for line in lines]):
                predictor.dump_line(output)
                tokens += len(output["tokens"])
        return tokens

    return tag


def spacy_side(train: Path, epochs: int) -> Callable[[list[str]], int]:
    """Tags by spaCy's `ner`, trained on a column file."""
    import spacy
    from spacy.tokens import Doc
    from spacy.training import Example, biluo_tags_to_spans
    from spacy.util import minibatch

    from elmo_tagger.tagging.detection import detect_scheme
    from elmo_tagger.tagging.schemes import convert
    from elmo_tagger.text.columns import read_columns

    nlp = spacy.blank("en")
    nlp.add_pipe("ner")
    sentences = list(read_columns(train))
    scheme = detect_scheme(sentences)
    examples = []
    for sentence in sentences:
        gold = Doc(nlp.vocab, sentence.tokens)
        gold.ents = biluo_tags_to_spans(gold, convert(sentence, scheme, "BIOUL"))
        examples.append(Example(Doc(nlp.vocab, sentence.tokens), gold))
    nlp.initialize(lambda: examples)
    for _ in range(epochs):
        random.Random(1).shuffle(examples)
        for batch in minibatch(examples, 64):  # type: ignore[no-untyped-call]
            nlp.update(batch)
    return lambda texts: sum(len(doc) for doc in nlp.pipe(texts))


def trained_spacy_side(folder: Path) -> Callable[[list[str]], int]:
    """Tags by a pipeline that `spacy train` wrote."""
    import spacy

    nlp = spacy.load(folder)
    return lambda texts: sum(len(doc) for doc in nlp.pipe(texts))


def limit(model: str) -> float:
    """Tokens a second if each token's products alone took time; not the CNN's, which a known word is spared."""
    import torch
    from measure import peak_flops

    import elmo_tagger

    weights = elmo_tagger.load(model).model.named_parameters()
    others = ("char_cnn", "static", "crf")
    products = sum(
        each.numel() for name, each in weights if each.dim() > 1 and not any(part in name for part in others)
    )
    return peak_flops(torch.float32) / (2 * products)


def memory(model: str, texts: Iterable[str], sentences: int) -> Iterator[dict[str, float]]:
    """Memory of the process, in MiB, as a stream of sentences passes."""
    import elmo_tagger

    before = _resident()
    tagger = elmo_tagger.load(model)
    yield {"sentences": 0, "MiB": _resident(), "MiB of loading": _resident() - before}
    stream = itertools.islice(texts, sentences)
    for number, _ in enumerate(tagger.pipe(stream), start=1):
        if number % (sentences // 10) == 0:
            yield {"sentences": number, "MiB": _resident()}


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("start", "pipe", "spacy", "memory"))
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=10_000)
    parser.add_argument("--text", type=Path, default=Path("fixtures/quickstart/test.conll"))
    parser.add_argument("--lines", type=Path, help="for memory: a text a line, packed if named .gz or .xz")
    parser.add_argument("--train", type=Path, default=Path("fixtures/quickstart/train.conll"))
    parser.add_argument("--pipelines", type=Path, nargs="*", default=[], help="trained spaCy pipelines")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.what == "start":
        rows: Iterator[dict[str, Any]] | list[dict[str, Any]] = [
            start(arguments.model, arguments.rounds, arguments.pipelines)
        ]
    else:
        import torch

        torch.set_num_threads(arguments.threads)
        texts = texts_of(arguments.text, min(arguments.sentences, 10_000))
        if arguments.what == "memory":
            from elmo_tagger.text.files import read_text_lines

            lines = (
                (line for _, line in read_text_lines(arguments.lines)) if arguments.lines else itertools.cycle(texts)
            )
            rows = memory(arguments.model, lines, arguments.sentences)
        else:
            sides = {"elmo_tagger": our_side(arguments.model)}
            if arguments.what == "pipe":
                sides["allennlp predict"] = allennlp_side(arguments.model)
            elif arguments.pipelines:
                sides.update({str(folder): trained_spacy_side(folder) for folder in arguments.pipelines})
            else:
                sides["spaCy ner"] = spacy_side(arguments.train, epochs=5)
            rows = [{**in_turns(sides, texts, parts=10), "the hardware's limit, tokens/s": limit(arguments.model)}]
    for row in rows:
        print("  ".join(f"{name}: {value:,.2f}" for name, value in row.items()), flush=True)


if __name__ == "__main__":
    main()
