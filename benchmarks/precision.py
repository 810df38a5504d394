"""What bfloat16 costs a trained tagger: its F1 with the biLM in float32 and in bfloat16.

    python benchmarks/precision.py runs/wnut17/model.tar.gz ../shared/data/ner/wnut17/test.conll

Give pairs of an archive and a file that its reader reads. `tags` is the share of tokens that are tagged otherwise.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import warnings
from pathlib import Path
from typing import Any

import measure
import torch


def tagged(archive: Path, path: Path, precision: str, args: argparse.Namespace) -> tuple[dict[str, float], list[str]]:
    """Scores of an archive on a file, and the tags of all its tokens."""
    from allennlp.data.data_loaders import SimpleDataLoader
    from allennlp.models.archival import load_archive

    with tarfile.open(archive) as files:
        config = json.load(files.extractfile("config.json"))
    embedders = config["model"]["text_field_embedder"]["token_embedders"]
    names = [name for name, embedder in embedders.items() if embedder["type"] == "elmo_hdf5"]
    changed = {f"model.text_field_embedder.token_embedders.{name}.precision": precision for name in names}
    loaded = load_archive(
        archive,
        cuda_device=0 if args.device == "cuda" else -1,
        overrides=json.dumps({**json.loads(args.overrides), **changed}),
    )
    model, reader = loaded.model.eval(), loaded.validation_dataset_reader
    instances = list(reader.read(path))
    for instance in instances:
        reader.apply_token_indexers(instance)
    loader = SimpleDataLoader(instances, args.batch, vocab=model.vocab)
    loader.set_target_device(torch.device(args.device))
    tags = []
    with torch.no_grad():
        for each in loader:
            output = model(**each)
            tags += output["decoded"][output["mask"]].tolist()
    return model.get_metrics(reset=True), tags


def main() -> None:
    """Score, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+", metavar="ARCHIVE FILE")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--overrides", default="{}", help="of the archives' configs, JSON with dotted keys")
    parser.add_argument("--json", type=Path, help="file to write")
    args = parser.parse_args()
    if len(args.pairs) % 2:
        parser.error(f"expected pairs of an archive and a file, received {len(args.pairs)} paths")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import elmo_tagger.plugin  # noqa: F401  (registers all names)
    report: dict[str, Any] = {"machine": measure.machine(args.device), "rows": []}
    print(f"{'archive':<32}{'tokens':>8}{'float32':>10}{'bfloat16':>10}{'tags':>10}")
    for archive, path in zip(args.pairs[::2], args.pairs[1::2], strict=True):
        exact, exact_tags = tagged(archive, path, "float32", args)
        rounded, rounded_tags = tagged(archive, path, "bfloat16", args)
        row = {
            "archive": archive.parent.name,
            "file": path.name,
            "tokens": len(exact_tags),
            "f1_float32": exact["f1-measure-overall"],
            "f1_bfloat16": rounded["f1-measure-overall"],
            "other_tags": sum(a != b for a, b in zip(exact_tags, rounded_tags, strict=True)) / len(exact_tags),
        }
        report["rows"].append(row)
        print(
            f"{row['archive']:<32}{row['tokens']:>8}{row['f1_float32']:>10.4f}{row['f1_bfloat16']:>10.4f}"
            f"{row['other_tags']:>10.3%}",
            flush=True,
        )
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
