"""spaCy's `ner` pipeline and AllenNLP's `crf_tagger`, trained from scratch on the general tagger's sentences.

    python experiments/general_tagger/compare.py spacy_accuracy runs/general_tagger/data ../shared RUN --seed 0
    python experiments/general_tagger/compare.py spacy_efficiency ...
    python experiments/general_tagger/compare.py crf_tagger ...

Each trains in the directory RUN, unless it is trained there already, and prints what `evaluate.py` prints. All have the
static vectors of 50 numbers. They cannot learn from partial labels: give them data made with `--misc-absent`.
"""

import argparse
import gzip
import json
import subprocess
import sys
from pathlib import Path

from evaluate import Tag, by_corpus, our_tag, robustness

import elmo_tagger
from elmo_tagger.tagging.schemes import tags_to_spans
from elmo_tagger.text import Span, read_columns

VECTORS = Path("data/vectors/wiki2015.50d.txt.gz")
CRF_TAGGER = Path(__file__).with_name("crf_tagger.jsonnet")


def spacy(preset: str, data: Path, shared: Path, run: Path, seed: int) -> Tag:
    """A pipeline by `spacy init config --pipeline ner`, with our vectors."""
    import spacy as library
    from spacy.tokens import Doc

    best = run / "model" / "model-best"
    if not best.exists():
        run.mkdir(parents=True, exist_ok=True)
        for part in ("train", "dev"):
            _docbin(data / f"{part}.conll", run / f"{part}.spacy")
        vectors = run / "vectors"
        if not vectors.exists():
            _spacy("init", "vectors", "en", _with_header(shared / VECTORS, run / "vectors.txt"), vectors)
        config = run / "config.cfg"
        _spacy("init", "config", config, "--lang", "en", "--pipeline", "ner", "--optimize", preset, "--force")
        paths = {"train": run / "train.spacy", "dev": run / "dev.spacy", "vectors": vectors}
        given = [str(part) for name, path in paths.items() for part in (f"--paths.{name}", path)]
        if preset == "efficiency":  # the preset leaves vectors out
            given += ["--initialize.vectors", str(vectors), "--components.tok2vec.model.embed.include_static_vectors"]
            given += ["true"]
        _spacy("train", config, "--output", run / "model", "--system.seed", seed, *given)
    pipeline = library.load(best)

    def tag(sentences: object) -> list[list[Span]]:
        docs = (Doc(pipeline.vocab, words=tokens) for tokens in sentences)  # type: ignore[attr-defined]
        return [[Span(e.start, e.end, e.label_) for e in doc.ents] for doc in pipeline.pipe(docs)]

    return tag


def crf_tagger(data: Path, shared: Path, run: Path, seed: int) -> Tag:
    """AllenNLP's, with static vectors and a character CNN."""
    archive = run / "model.tar.gz"
    if not archive.exists():
        from allennlp.commands.train import train_model
        from allennlp.common import Params

        import elmo_tagger.plugin  # noqa: F401  (its reader)

        seeds = dict.fromkeys(("random_seed", "numpy_seed", "pytorch_seed"), seed)
        names = {"DATA": str(data), "VECTORS": str(shared / VECTORS)}
        train_model(Params.from_file(CRF_TAGGER, seeds, names), str(run), recover=run.exists())
    return stock_tagger(archive)


def stock_tagger(archive: Path, batch_size: int = 64) -> Tag:
    """The model of an archive, by AllenNLP's own prediction."""
    from allennlp.models.archival import load_archive

    loaded = load_archive(archive)
    reader, model = loaded.validation_dataset_reader, loaded.model

    def tag(sentences: object) -> list[list[Span]]:
        instances = [reader.text_to_instance(tokens) for tokens in sentences]  # type: ignore[attr-defined]
        found: list[list[Span]] = []
        for first in range(0, len(instances), batch_size):
            for output in model.forward_on_instances(instances[first : first + batch_size]):
                found.append(list(tags_to_spans(output["tags"], "BIOUL")))
        return found

    return tag


def _docbin(columns: Path, output: Path) -> None:
    from spacy import blank
    from spacy.tokens import Doc, DocBin
    from spacy.tokens import Span as SpacySpan

    vocabulary = blank("en").vocab
    docs = DocBin()
    for sentence in read_columns(columns):
        doc = Doc(vocabulary, words=sentence.tokens)
        doc.ents = [SpacySpan(doc, start, end, kind) for start, end, kind in tags_to_spans(sentence, "BIO")]
        docs.add(doc)
    docs.to_disk(output)


def _with_header(packed: Path, output: Path) -> Path:
    """The vectors with a first line that counts them, as `spacy init vectors` wants it."""
    with gzip.open(packed, "rt", encoding="utf-8") as lines:
        rows = lines.readlines()
    output.write_text(f"{len(rows)} {len(rows[0].split()) - 1}\n" + "".join(rows), encoding="utf-8")
    return output


def _spacy(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "spacy", *map(str, arguments)], check=True)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("system", choices=["spacy_accuracy", "spacy_efficiency", "crf_tagger", "archive"])
    parser.add_argument("data", type=Path)
    parser.add_argument("shared", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rest = (arguments.data, arguments.shared, arguments.run, arguments.seed)
    if arguments.system == "crf_tagger":
        tag = crf_tagger(*rest)
    elif arguments.system == "archive":
        tag = our_tag(elmo_tagger.load(arguments.run))
    else:
        tag = spacy(arguments.system.removeprefix("spacy_"), *rest)
    print(
        json.dumps({"corpora": by_corpus(tag, arguments.data), "robustness": robustness(tag, arguments.data)}, indent=1)
    )


if __name__ == "__main__":
    main()
