"""The biLM of a training as each epoch left it, with its held-out perplexity.

    uv run python experiments/elmo_gain/epochs.py runs/starter runs/epochs

The training must keep its checkpoints: `-o '{"trainer.checkpointer.keep_most_recent_by_count": null}'`. What is not
there any more is left out.
"""

import argparse
import json
import tempfile
from pathlib import Path

from elmo_tagger.bilm.training import export

PERPLEXITIES = ("perplexity", "forward_perplexity", "backward_perplexity")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="serialization directory of an elmo_bilm")
    parser.add_argument("output", type=Path, help="gets a directory for each epoch")
    arguments = parser.parse_args()
    for metrics_file in sorted(arguments.run.glob("metrics_epoch_*.json")):
        epochs = int(metrics_file.stem.rsplit("_", 1)[1]) + 1
        state = arguments.run / f"model_state_e{epochs}_b0.th"
        directory = arguments.output / f"epoch-{epochs:02d}"
        if not state.is_file() or directory.exists():
            continue
        directory.mkdir(parents=True)
        with tempfile.TemporaryDirectory() as temporary:
            (Path(temporary) / "best.th").symlink_to(state.resolve())
            export(Path(temporary), directory)
        metrics = json.loads(metrics_file.read_text())
        found = {name: metrics[f"validation_{name}"] for name in PERPLEXITIES}
        (directory / "perplexity.json").write_text(json.dumps(found, indent=1) + "\n")
        print(f"{directory}: perplexity {found['perplexity']:.1f}")


if __name__ == "__main__":
    main()
