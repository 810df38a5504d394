"""What the commands on annotated files cost: time and peak memory, each in a process of its own.

    python benchmarks/corpus_commands.py                              all of it
    python benchmarks/corpus_commands.py --only check --sentences 20000    one command, on a smaller file
    python benchmarks/corpus_commands.py --json corpus.json           the numbers, for machines

Files are made up: 14 words a sentence on average by Zipf's law, 1.6 entities of four types, every twentieth tag of a
prediction wrong. The test set of CoNLL-2003 has 3,684 sentences.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

TYPES = ("PER", "LOC", "ORG", "MISC")
TEST_SET = 3_684  # sentences of CoNLL-2003's test set
TARGETS = {"check 1M tokens": 10.0, "compare 10,000 resamples": 30.0}  # seconds


def write_columns(path: Path, sentences: int, *, words: int = 14, seed: int = 0) -> None:
    """Tokens and BIO tags."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for sentence in _sentences(draw, sentences, words):
            file.write("".join(f"{word} {tag}\n" for word, tag in sentence) + "\n")


def write_predictions(gold: Path, path: Path, *, seed: int) -> None:
    """The same tokens, one tag in twenty another."""
    draw = random.Random(seed)
    tags = ["O", *(f"B-{kind}" for kind in TYPES)]
    with gold.open(encoding="utf-8") as lines, path.open("w", encoding="utf-8") as file:
        for line in lines:
            word, space, tag = line.rstrip("\n").partition(" ")
            file.write(f"{word}{space}{draw.choice(tags) if tag and draw.random() < 0.05 else tag}\n")


def _sentences(draw: random.Random, number: int, words: int) -> Iterator[list[tuple[str, str]]]:
    for _ in range(number):
        length = max(1, min(4 * words, round(draw.gauss(words, words / 2))))
        tokens = [f"w{int(30_000 ** draw.random())}" for _ in range(length)]
        tags = ["O"] * length
        for _ in range(round(length * 1.6 / 14 + draw.random() - 0.5)):
            start = draw.randrange(length)
            end = min(length, start + draw.randint(1, 3))
            if set(tags[start:end]) == {"O"} and (end == length or tags[end][0] != "I"):
                kind = draw.choice(TYPES)
                tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
        yield list(zip(tokens, tags, strict=True))


def measured(arguments: list[str]) -> dict[str, float]:
    """Seconds, seconds of the processor and peak memory of one `elmo-tagger` command, its start included."""
    program = (
        "import sys, resource; from elmo_tagger.cli.app import app; "
        "sys.argv[0] = 'elmo-tagger'; code = 0\n"
        "try: app()\n"
        "except SystemExit as end: code = end.code\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(code, used.ru_maxrss, used.ru_utime + used.ru_stime, file=sys.stderr)"
    )
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    code, kilobytes, processor = done.stderr.splitlines()[-1].split()
    if code not in ("0", "1", "None"):
        raise SystemExit(f"elmo-tagger {' '.join(arguments)}: {done.stderr}")
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(float(processor), 2),
        "peak_mib": round(int(kilobytes) / 1024, 1),
    }


def cases(folder: Path, sentences: int) -> Iterator[tuple[str, list[str]]]:
    """Each measurement's name and command; its files are made just before it."""
    file = folder / "tokens.conll"
    write_columns(file, 1_000_000 // 14)
    yield "check 1M tokens", ["check", str(file)]
    gold = folder / "gold.conll"
    write_columns(gold, TEST_SET)
    runs = [folder / f"run{number}.conll" for number in range(6)]
    for number, run in enumerate(runs):
        write_predictions(gold, run, seed=number)
    a, b = map(str, runs[:2])
    yield "score 3,684 sentences", ["score", str(gold), a]
    yield "compare 10,000 resamples", ["compare", a, "--", b, "--gold", str(gold)]
    three = [*map(str, runs[:3]), "--", *map(str, runs[3:])]
    yield "compare 10,000 resamples, 3 + 3 runs", ["compare", *three, "--gold", str(gold)]
    big, guess = folder / "big.conll", folder / "guess.conll"
    write_columns(big, sentences, words=7)
    write_predictions(big, guess, seed=1)
    size = f"{sentences:,} sentences"
    yield f"check {size}", ["check", str(big)]
    yield f"score {size}", ["score", str(big), str(guess)]
    yield f"compare {size}", ["compare", str(guess), "--", str(big), "--gold", str(big), "--resamples", "1000"]
    yield f"convert {size} to BIOUL", ["convert", str(big), str(folder / "bioul.conll"), "--to", "BIOUL"]
    yield f"convert {size} to jsonl", ["convert", str(big), str(folder / "big.jsonl")]
    yield f"convert {size} to Label Studio", ["convert", str(big), str(folder / "big.json")]
    yield f"convert {size} from Label Studio", ["convert", str(folder / "big.json"), str(folder / "back.conll")]


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", default="", help="what the names of the measurements must contain")
    parser.add_argument("--sentences", type=int, default=1_000_000, help="of the big file")
    parser.add_argument("--folder", type=Path, help="where the files are put (default: a temporary folder)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    print("| what | seconds | of the processor | target | peak memory, MiB |\n|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for name, arguments in cases(Path(folder), options.sentences):
            if options.only in name:
                results[name] = found = measured(arguments)
                target = f"{TARGETS[name]:g}" if name in TARGETS else ""
                times = f"{found['seconds']:.1f} | {found['processor_seconds']:.1f}"
                print(f"| {name} | {times} | {target} | {found['peak_mib']:.0f} |", flush=True)
    machine = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()}
    print(f"\n{machine['cores']} cores, load {machine['load']:.1f}, Python {machine['python']}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "results": results}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
