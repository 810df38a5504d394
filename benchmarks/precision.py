"""What each precision costs: a tagger's F1, its calibration, the tokens tagged otherwise.

    python benchmarks/precision.py runs/wnut17/model.tar.gz ../shared/data/ner/wnut17/test.conll

    python benchmarks/precision.py --size original

Give pairs of a model (an archive or folder) and a column file with its tags. `other` is the share of tokens that are
tagged otherwise than in float32, `ECE` the expected calibration error of entities' confidences. Scores are conlleval's.
With `--size` a random biLM's layers are compared instead: the least and the mean cosine of a token's vectors in a
precision and in float32, and the largest difference of two numbers.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import measure
import torch
from contenders import load_ours
from material import SIZES, save_random, sentences

from elmo_tagger.archives import open_archive
from elmo_tagger.bilm import encode_sentences
from elmo_tagger.bilm.precision import PRECISIONS
from elmo_tagger.corpus.calibration import reliability
from elmo_tagger.corpus.sources import open_tagged
from elmo_tagger.tagger.assembly import build
from elmo_tagger.tagger.config import ElmoConfig, TextFieldEmbedderConfig
from elmo_tagger.tagger.folder import Parts, is_folder, read_folder
from elmo_tagger.tagger.migration.archive import read_archive
from elmo_tagger.tagger.tagger import Tagger
from elmo_tagger.tagging.schemes import conlleval_spans
from elmo_tagger.tagging.scoring import EntityCounts, Span
from elmo_tagger.text.sentence import Sentence


def parts_of(path: Path) -> Parts:
    """The parts of a model folder or archive."""
    if is_folder(path):
        return read_folder(path)
    with open_archive(path) as archive:
        return read_archive(archive).parts


def in_precision(parts: Parts, precision: str) -> Tagger:
    """The tagger, its biLMs in a precision."""
    embedders = {
        name: replace(each, precision=precision, rounded_weights=False) if isinstance(each, ElmoConfig) else each
        for name, each in parts.config.model.text_field_embedder.token_embedders.items()
    }
    model = replace(parts.config.model, text_field_embedder=TextFieldEmbedderConfig(token_embedders=embedders))
    return build(replace(parts, config=replace(parts.config, model=model)), name=precision)


def scored(tagger: Tagger, gold_sentences: list[Sentence]) -> tuple[dict[str, float], list[str]]:
    """Scores on sentences, and the tags of all their tokens."""
    counts, judged, tags = EntityCounts(), [], []
    documents = tagger.pipe({"tokens": sentence.tokens} for sentence in gold_sentences)
    for sentence, document in zip(gold_sentences, documents, strict=True):
        gold = set(conlleval_spans(sentence.tags or []))
        found = {Span(each.token_start, each.token_end, each.type): each.confidence for each in document.entities}
        counts.add(gold, found)
        judged += [(confidence, span in gold) for span, confidence in found.items()]
        tags += document.tags
    return {"f1": 100 * counts.micro().f1, "ece": 100 * reliability(judged).expected_error}, tags


def compared_layers(size: str, precisions: list[str]) -> list[dict[str, Any]]:
    """For each precision and layer how far a random biLM's vectors are from those in float32."""
    text, _ = sentences()
    ids = torch.from_numpy(encode_sentences(list(islice(text, 32))))
    rows = []
    with tempfile.TemporaryDirectory() as parent, torch.no_grad():
        save_random(size, Path(parent))
        exact = load_ours(Path(parent), "cpu", "float32")(ids)
        for precision in precisions:
            layers = load_ours(Path(parent), "cpu", precision)(ids).layers
            for number, vectors in layers.items():
                one, other = vectors[exact.mask], exact.layers[number][exact.mask]
                cosines = torch.cosine_similarity(one, other, dim=-1)
                least, mean, largest = cosines.min(), cosines.mean(), (one - other).abs().max()
                rows.append({"size": size, "precision": precision, "layer": number, "least_cosine": least.item()})
                rows[-1] |= {"mean_cosine": mean.item(), "largest_difference": largest.item()}
                print(f"{size:<10}{precision:<10}layer {number}  cosine {least:.6f} {mean:.6f}  largest {largest:.1e}")
    return rows


def compared_taggers(pairs: list[Path], precisions: list[str]) -> list[dict[str, Any]]:
    """For each tagger and precision its scores."""
    rows = []
    print(f"{'model':<20}{'tokens':>8}  {'precision':<10}{'F1':>8}{'ECE':>8}{'other':>10}")
    for path, file in zip(pairs[::2], pairs[1::2], strict=True):
        gold = list(open_tagged(str(file)).sentences())
        exact: list[str] = []
        for precision in ["float32", *precisions]:
            scores, tags = scored(in_precision(parts_of(path), precision), gold)
            exact = exact or tags
            other = sum(a != b for a, b in zip(exact, tags, strict=True)) / len(tags)
            name = path.parent.name if path.is_file() else path.name
            rows.append({"model": name, "precision": precision, **scores, "other": other})
            print(
                f"{name:<20}{len(tags):>8}  {precision:<10}{scores['f1']:>8.2f}{scores['ece']:>8.2f}{other:>10.3%}",
                flush=True,
            )
    return rows


def main() -> None:
    """Score, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="*", metavar="MODEL FILE")
    parser.add_argument("--size", choices=SIZES, help="of a random biLM")
    parser.add_argument("--precision", nargs="+", choices=PRECISIONS, default=["float16", "bfloat16", "int8"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file to write")
    args = parser.parse_args()
    if len(args.pairs) % 2:
        parser.error(f"expected pairs of a model and a file, received {len(args.pairs)} paths")
    torch.set_num_threads(args.threads)
    report: dict[str, Any] = {"machine": measure.machine("cpu"), "rows": []}
    if args.size:
        report["rows"] = compared_layers(args.size, args.precision)
    else:
        report["rows"] = compared_taggers(args.pairs, args.precision)
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
