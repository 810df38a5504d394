"""Tables and plot of the comparison, from the trainings that are finished."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from statistics import mean, stdev

from trial import SYSTEMS, Trial

HERE = Path(__file__).parent
F1 = "test_f1-measure-overall"
MIX = "best_validation_mix_{}"
Scores = dict[tuple[str, str, str, str], dict[int, float]]
"""Strict F1 in points on test by seed, for each corpus, system, biLM and layer mode."""


def write_report(trials: Sequence[Trial], directory: Path = HERE) -> None:
    """Write results.md, results.json and gain.png.

    Args:
        trials: All that were planned; those not finished are left out and counted.
        directory: Where to.
    """
    done = {trial: metrics for trial in trials if (metrics := trial.metrics()) is not None}
    scores: Scores = {}
    for trial, metrics in done.items():
        scores.setdefault(_cell(trial), {})[trial.seed] = 100 * metrics[F1]
    starter = next((trial.bilm.name for trial in trials if trial.uses_bilm), "")
    sections = [
        f"{len(done)} of {len(trials)} trainings are done. F1 is strict, in points, on test; mean +- standard "
        "deviation over seeds. p is two-sided: of a corpus by a paired t-test over its seeds, on one test set, "
        "uncorrected for the number of rows; of the average over the corpora's means, by Student's t and by an exact "
        "sign-flip test.",
        "## Four systems",
        systems_table(scores, starter),
        "## What the biLM brings",
        differences_table(scores, starter),
        "## The mix that was learnt",
        mix_table(done),
        "## Layers, with the biLM alone",
        layers_table(scores, starter),
        "## Perplexity and gain",
        "The biLMs epoch-01, -02, ... are a starter on its way, taken while its learning rate was still high; "
        "starter-10m is what became of that one, the package's until it was trained again on 61 million words.",
        curve_table(scores, trials),
    ]
    (directory / "results.md").write_text("\n\n".join(sections) + "\n")
    rows = [
        {
            "corpus": trial.corpus.name,
            "system": trial.system,
            "bilm": trial.bilm.name if trial.uses_bilm else None,
            "layers": trial.layers if trial.uses_bilm else None,
            "seed": trial.seed,
            "dev_f1": metrics["best_validation_f1-measure-overall"],
            "test_f1": metrics[F1],
            "best_epoch": metrics["best_epoch"] + 1,
            "epochs": metrics["epoch"] + 1,
        }
        for trial, metrics in done.items()
    ]
    (directory / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    draw(scores, trials, starter, directory / "gain.png")


def _cell(trial: Trial) -> tuple[str, str, str, str]:
    bilm, layers = (trial.bilm.name, trial.layers) if trial.uses_bilm else ("", "")
    return trial.corpus.name, trial.system, bilm, layers


def _of(scores: Scores, corpus: str, system: str, bilm: str, layers: str = "mix") -> dict[int, float]:
    has = system.startswith("elmo")
    return scores.get((corpus, system, bilm if has else "", layers if has else ""), {})


def _spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    if not values:
        return "-"
    return f"{mean(values):.1f}" + (f" +- {stdev(values):.1f}" if len(values) > 1 else "")


def _corpora(scores: Scores) -> list[str]:
    return sorted({corpus for corpus, *_ in scores})


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def systems_table(scores: Scores, bilm: str) -> str:
    """F1 of each system on each corpus."""
    rows = []
    for corpus in _corpora(scores):
        found = [_of(scores, corpus, system, bilm) for system in SYSTEMS]
        rows.append([corpus, *(_spread(list(each.values())) for each in found), str(min(len(each) for each in found))])
    return _table(["corpus", *SYSTEMS.values(), "seeds"], rows)


def differences(scores: Scores, system: str, bilm: str) -> dict[str, list[float]]:
    """F1 of a system less that of static vectors, for each corpus the seeds that both have."""
    found = {}
    for corpus in _corpora(scores):
        own, other = _of(scores, corpus, system, bilm), _of(scores, corpus, "static", bilm)
        common = sorted(own.keys() & other.keys())
        if common:
            found[corpus] = [own[seed] - other[seed] for seed in common]
    return found


def sign_flip_test(values: Sequence[float]) -> float:
    """How likely a mean as far from 0 would be if each value might as well have the other sign; exact, two-sided."""
    reached = abs(sum(values)) - 1e-9
    flips = list(product((1, -1), repeat=len(values)))
    return sum(abs(sum(s * v for s, v in zip(signs, values, strict=True))) >= reached for signs in flips) / len(flips)


def paired_t_test(values: Sequence[float]) -> float:
    """Student's, two-sided, that the mean of differences is 0."""
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(values, 0.0).pvalue)


def differences_table(scores: Scores, bilm: str) -> str:
    """What the biLM adds to static vectors, and whether that is more than chance.

    A corpus is tested over its seeds. The average is tested over the corpora's means, not over all trainings: seeds on
    one corpus share its test set and are no independent evidence.
    """
    both = {system: differences(scores, system, bilm) for system in ("elmo", "elmo_static")}
    rows = []
    for corpus in _corpora(scores):
        row = [corpus]
        for found in both.values():
            values = found.get(corpus, [])
            row += [_signed(values), _chance(paired_t_test(values)) if len(values) > 1 else "-"]
        rows.append(row)
    common = [corpus for corpus in both["elmo"] if corpus in both["elmo_static"]]
    row = [f"**average of {len(common)}**"]
    for found in both.values():
        means = [mean(found[corpus]) for corpus in common]
        tests = f"{_chance(paired_t_test(means))} (t), {_chance(sign_flip_test(means))} (signs)" if means[1:] else "-"
        row += [f"**{mean(means):+.2f}**" if means else "-", tests]
    return _table(["corpus", "(c) - (b)", "p", "(d) - (b)", "p"], [*rows, row])


def _chance(probability: float) -> str:
    return "<0.001" if probability < 0.001 else f"{probability:.3f}"


def _signed(values: Sequence[float]) -> str:
    return f"{mean(values):+.2f}" if values else "-"


def mix_table(done: dict[Trial, dict]) -> str:
    """Shares of the layers and gamma, mean over seeds."""
    names = ("layer_0", "layer_1", "layer_2", "gamma")
    found: dict[tuple[str, str], list[list[float]]] = {}
    for trial, metrics in done.items():
        if trial.uses_bilm and trial.layers == "mix" and MIX.format(names[0]) in metrics:
            shares = [metrics[MIX.format(name)] for name in names]
            found.setdefault((trial.corpus.name, f"{trial.system}, {trial.bilm.name}"), []).append(shares)
    rows = [
        [corpus, system, *(f"{mean(column):.2f}" for column in zip(*shares, strict=True))]
        for (corpus, system), shares in sorted(found.items())
    ]
    return _table(["corpus", "system, biLM", "character CNN", "first layer", "second layer", "gamma"], rows)


def layers_table(scores: Scores, bilm: str) -> str:
    """F1 of each layer mode."""
    rows = [
        [corpus, layers, _spread(list(found.values())), str(len(found))]
        for (corpus, system, name, layers), found in sorted(scores.items())
        if system == "elmo" and name == bilm and any(key[3] not in ("mix", "") and key[0] == corpus for key in scores)
    ]
    return _table(["corpus", "layers", "F1", "seeds"], rows)


def _curve(scores: Scores, trials: Sequence[Trial]) -> dict[str, list[tuple[float, str, list[float]]]]:
    """For each corpus the perplexities of its biLMs, their names, and the differences (d) - (b)."""
    bilms = {trial.bilm.name: trial.bilm for trial in trials if trial.uses_bilm}
    found: dict[str, list[tuple[float, str, list[float]]]] = {}
    for name, directory in bilms.items():
        perplexity = directory / "perplexity.json"
        if not perplexity.is_file():
            continue
        value = json.loads(perplexity.read_text())["perplexity"]
        for corpus, values in differences(scores, "elmo_static", name).items():
            found.setdefault(corpus, []).append((value, name, values))
    return {corpus: sorted(points) for corpus, points in found.items() if len(points) > 1}


def curve_table(scores: Scores, trials: Sequence[Trial]) -> str:
    """The gain with the same biLM at other stages of its training."""
    rows = [
        [corpus, name, f"{perplexity:.1f}", _signed(values), str(len(values))]
        for corpus, points in _curve(scores, trials).items()
        for perplexity, name, values in points
    ]
    return _table(["corpus", "biLM", "held-out perplexity", "(d) - (b)", "seeds"], rows)


def draw(scores: Scores, trials: Sequence[Trial], bilm: str, path: Path) -> None:
    """The four systems side by side, and the gain by perplexity."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    curve = _curve(scores, trials)
    panels = 2 if curve else 1
    figure, axes = plt.subplots(
        1, panels, figsize=(5.5 * panels, 4), width_ratios=(2, 1)[:panels], squeeze=False, layout="constrained"
    )
    left, right = axes[0, 0], axes[0, -1]
    corpora = _corpora(scores)
    for number, (system, title) in enumerate(SYSTEMS.items()):
        found = [list(_of(scores, corpus, system, bilm).values()) for corpus in corpora]
        places = [place + 0.2 * (number - 1.5) for place in range(len(corpora))]
        heights = [mean(values) if values else 0.0 for values in found]
        errors = [stdev(values) if len(values) > 1 else 0.0 for values in found]
        left.bar(places, heights, 0.18, yerr=errors, label=title, error_kw={"linewidth": 0.8})
    left.set_xticks(range(len(corpora)), [corpus.removeprefix("crossner-") for corpus in corpora])
    left.set_ylabel("strict F1 on test, points")
    left.legend(fontsize="x-small", loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    for corpus, points in curve.items():
        right.plot([point[0] for point in points], [mean(point[2]) for point in points], marker="o", label=corpus)
    if curve:
        right.axhline(0.0, color="grey", linewidth=0.8)
        right.set_xscale("log")
        right.set_xlabel("held-out perplexity of the biLM")
        right.set_ylabel("gain over static vectors (d) - (b), points")
        right.legend(fontsize="small")
    figure.savefig(path, dpi=120)
    plt.close(figure)
