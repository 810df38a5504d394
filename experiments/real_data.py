"""Trains, predicts and scores on real corpora with the tiny reference weights; writes results/real_data.{md,json}.

    uv run python experiments/real_data.py ../shared

For each corpus it trains training_configs/wnut17.jsonnet to the end with early stopping, predicts the test set, checks
that seqeval on the written predictions gives the F1 that the training printed, and measures whether the entities'
confidences are calibrated.
"""

import argparse
import json
from pathlib import Path

from allennlp.commands.train import train_model
from allennlp.common import Params
from allennlp.models.archival import load_archive
from allennlp.predictors import Predictor
from corpora import crossner, wikigold, wnut17
from seqeval.metrics import f1_score
from seqeval.scheme import BILOU

import elmo_tagger.plugin  # noqa: F401  (registers everything)
from elmo_tagger.corpus.calibration import Reliability, judge, reliability
from elmo_tagger.tagging.schemes import tags_to_spans
from elmo_tagger.text import read_columns

RESULTS = Path(__file__).parent / "results"
# 200 sentences: smaller batches and more patience.
CHANGES = {"crossner-politics": {"data_loader.batch_sampler.batch_size": 8, "trainer.patience": 15}}


def corpora(shared: Path, runs: Path) -> dict[str, Path]:
    """A directory with train.conll, dev.conll and test.conll for each corpus."""
    data = runs / "data"
    made = [wikigold(shared, data), crossner("politics", shared, data)]
    return {"wnut17": wnut17(shared), **{directory.name: directory for directory in made}}


def train(name: str, data: Path, shared: Path, runs: Path, seed: int) -> Path:
    """A finished run; one that is there already is kept, an interrupted one goes on."""
    run = runs / f"{name}-{seed}"
    if (run / "model.tar.gz").exists():
        return run
    files = {
        "WNUT17": str(data),
        "ELMO_OPTIONS": str(shared / "reference" / "allennlp" / "options.json"),
        "ELMO_WEIGHTS": str(shared / "reference" / "allennlp" / "lm_weights.hdf5"),
        "VECTORS": str(shared / "data" / "vectors" / "wiki2015.50d.txt.gz"),
    }
    changes = {"random_seed": seed, "numpy_seed": seed, "pytorch_seed": seed, **CHANGES.get(name, {})}
    params = Params.from_file("training_configs/wnut17.jsonnet", changes, files)
    train_model(params, str(run), recover=run.exists())
    return run


def predict(run: Path, test: Path) -> Path:
    """What `allennlp predict --use-dataset-reader` writes."""
    output = run / "predictions.jsonl"
    predictor = Predictor.from_archive(load_archive(run / "model.tar.gz"))
    instances = list(predictor._dataset_reader.read(str(test)))
    lines = [predictor.dump_line(each) for each in predictor.predict_batch_instance(instances)]
    output.write_text("".join(lines))
    return output


def measure(run: Path, predictions: Path, test: Path) -> dict:
    """F1 as printed and as seqeval has it, and the reliability of the confidences."""
    metrics = json.loads((run / "metrics.json").read_text())
    gold = list(read_columns(test))
    predicted = [json.loads(line) for line in predictions.read_text().splitlines()]
    reader = load_archive(run / "model.tar.gz").validation_dataset_reader
    gold_tags = [list(instance["tags"].labels) for instance in reader.read(str(test))]
    seqeval_f1 = f1_score(gold_tags, [each["tags"] for each in predicted], mode="strict", scheme=BILOU)
    printed = metrics["test_f1-measure-overall"]
    assert abs(seqeval_f1 - printed) < 1e-9, (run, seqeval_f1, printed)
    truth = [[(s.start, s.end, s.type) for s in tags_to_spans(tags, "BIOUL")] for tags in gold_tags]
    found = [[(e["token_start"], e["token_end"], e["type"], e["confidence"]) for e in p["entities"]] for p in predicted]
    return {
        "sentences": len(gold),
        "epochs": metrics["epoch"] + 1,
        "best_epoch": metrics["best_epoch"] + 1,
        "dev_f1": metrics["best_validation_f1-measure-overall"],
        "test_f1": printed,
        "seqeval_f1": seqeval_f1,
        "reliability": reliability(judge(truth, found)),
    }


def table(results: dict[str, dict]) -> str:
    """The results as Markdown."""
    lines = [
        "| corpus, seed | epochs (best) | dev F1 | test F1, printed | test F1, seqeval on the predictions | ECE |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in results.items():
        scores = " | ".join(f"{100 * row[key]:.2f}" for key in ("dev_f1", "test_f1", "seqeval_f1"))
        lines.append(
            f"| {name} | {row['epochs']} ({row['best_epoch']}) | {scores} | {row['reliability'].expected_error:.3f} |"
        )
    for name, row in results.items():
        lines += ["", *reliability_lines(name, row["reliability"])]
    return "\n".join(lines) + "\n"


def reliability_lines(name: str, measured: Reliability) -> list[str]:
    """One corpus's reliability table."""
    return [
        f"{name}: {measured.entities} predicted entities",
        "",
        "| posterior | entities | mean posterior | share correct |",
        "|---|---|---|---|",
        *(
            f"| {row.low:.1f}-{row.high:.1f} | {row.entities} | {row.confidence:.3f} | {row.correct:.3f} |"
            for row in measured.bins
        ),
    ]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path, help="directory with data/ and reference/")
    parser.add_argument("--runs", type=Path, default=Path("runs/real_data"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    arguments = parser.parse_args()
    results = {}
    for name, data in corpora(arguments.shared, arguments.runs).items():
        for seed in arguments.seeds:
            run = train(name, data, arguments.shared, arguments.runs, seed)
            results[f"{name}, {seed}"] = measure(run, predict(run, data / "test.conll"), data / "test.conll")
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / "real_data.md").write_text(table(results))
            (RESULTS / "real_data.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
