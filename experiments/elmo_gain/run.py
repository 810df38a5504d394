"""What a biLM brings to a tagger: four systems on six corpora, the layers that it gives, the worth of its perplexity.

    uv run python experiments/elmo_gain/run.py ../shared
    uv run python experiments/elmo_gain/epochs.py runs/starter runs/epochs
    uv run python experiments/elmo_gain/run.py ../shared --bilms runs/epochs/* --seeds 1 2 3

A training that is finished is not done again, so that the command can be stopped at any time and given again. Tables
and plot are written after every training.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from corpora import DOMAINS, crossner, wikigold
from report import write_report
from trial import SYSTEMS, Trial

from elmo_tagger.bilm.loading.bundled import BUNDLED

LAYERS = ("0", "1", "2", "average", "mix", "concat")
LAYERS_CORPUS = "crossner-politics"
CURVE_CORPORA = ("crossner-politics", "wikigold")


def trials(arguments: argparse.Namespace) -> list[Trial]:
    """All trainings, the comparison of the four systems first, seed by seed."""
    data = arguments.runs / "data"
    corpora = [wikigold(arguments.shared, data), *(crossner(each, arguments.shared, data) for each in DOMAINS)]
    fixed = {"vectors": arguments.shared / "data" / "vectors" / "wiki2015.50d.txt.gz", "runs": arguments.runs}
    found = []
    for seed in arguments.seeds:
        for corpus in corpora:
            for system in arguments.systems:
                found.append(Trial(corpus, system, seed, arguments.starter, "mix", **fixed))
    for seed in arguments.seeds:
        for corpus in corpora:
            if "elmo" in arguments.systems and corpus.name == LAYERS_CORPUS:
                found += [Trial(corpus, "elmo", seed, arguments.starter, layers, **fixed) for layers in LAYERS]
            if "elmo_static" in arguments.systems and corpus.name in CURVE_CORPORA:
                found += [Trial(corpus, "elmo_static", seed, bilm, "mix", **fixed) for bilm in arguments.bilms]
    return list(dict.fromkeys(found))


def work(trial: Trial) -> Trial:
    """Train, in a process of its own that may be used again."""
    logging.disable(logging.INFO)
    trial.train()
    return trial


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, help="directory with data/ner and data/vectors")
    parser.add_argument("--runs", type=Path, default=Path("runs/elmo_gain"))
    parser.add_argument("--starter", type=Path, default=BUNDLED.get("starter"), help="directory of the biLM")
    parser.add_argument(
        "--bilms",
        type=Path,
        nargs="*",
        default=[],
        help="the same biLM at other perplexities: directories with options.json, weights.hdf5 and perplexity.json",
    )
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--workers", type=int, default=1, help="trainings at a time")
    arguments = parser.parse_args()
    for bilm in arguments.bilms:
        missing = [name for name in ("options.json", "weights.hdf5", "perplexity.json") if not (bilm / name).is_file()]
        if missing:
            parser.error(f"--bilms {bilm}: no {', '.join(missing)} in it; epochs.py makes such directories")
    every = trials(arguments)
    missing = [trial for trial in every if trial.metrics() is None]
    # not a fork of this process, whose threads it would have without their work
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.workers, mp_context=context) as pool:
        futures = [pool.submit(work, trial) for trial in missing]
        for done, future in enumerate(as_completed(futures), 1):
            if (error := future.exception()) is not None:
                print(f"{done}/{len(missing)} failed, go on: {type(error).__name__}: {error}", flush=True)
                continue
            trial = future.result()
            f1 = (trial.metrics() or {})["test_f1-measure-overall"]
            print(f"{done}/{len(missing)} {trial.run}: test F1 {100 * f1:.2f}", flush=True)
            write_report(every)
    write_report(every)
    if any(future.exception() is not None for future in futures):
        sys.exit(1)


if __name__ == "__main__":
    main()
