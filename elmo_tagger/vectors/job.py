"""Embedding a whole input: window by window, committed as it goes, continued where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from elmo_tagger.bilm import Bilm, ScalarMix
from elmo_tagger.bilm.weights_hash import weights_hash
from elmo_tagger.vectors.compute import Request, SentenceVectors
from elmo_tagger.vectors.output import VectorOutput
from elmo_tagger.vectors.record import Seen, another_input, check_settings, state_of
from elmo_tagger.vectors.sentences import SentenceSource
from elmo_tagger.vectors.windows import Window, windows

# A window's arrays are held in memory at once, and are what an interruption may cost. Its batches by length waste less
# padding the more of them there are.
BATCHES_PER_WINDOW = 4


def settings(source: SentenceSource, request: Request, bilm: Bilm, mix: ScalarMix | None) -> dict[str, Any]:
    """All that the numbers depend on beside the sentences, as JSON values."""
    return {
        **asdict(request),
        "weights": weights_hash(bilm),
        "precision": bilm.precision,
        "mix": None if mix is None else [*mix.weights().tolist(), mix.gamma.item(), mix.layer_norm],
        "layout": source.layout,
        "raw": source.tokenizer is not None,
    }


def run(
    source: SentenceSource,
    vectors: SentenceVectors,
    output: VectorOutput,
    *,
    settings: Mapping[str, Any],
    report: Callable[[Window, bool], None] = lambda window, skipped: None,
) -> int:
    """Embed all sentences of an input.

    Memory depends on the batch size and the longest sentence, not on the input. If anything fails, what was committed
    stays, and a later run with an output that was opened to resume continues from there.

    Args:
        source: The input.
        vectors: Computes the arrays.
        output: Takes them.
        settings: See `settings`. A resumed output must have been begun with the same ones.
        report: Is told each window when it is done, and whether it was skipped because an earlier run did it.

    Returns:
        The number of sentences.

    Raises:
        OutputError: The resumed output belongs to other settings or another input.
        DataError: A line of the input is wrong.
        OSError: Reading or writing failed.
    """
    try:
        done = _already_done(output.state, settings)
        seen = Seen()
        max_tokens = BATCHES_PER_WINDOW * vectors.request.batch_tokens
        for window in windows(source.read(), max_tokens=max_tokens):
            seen.add(window)
            if skipped := seen.sentences <= done:
                output.skip(window)
                if seen.sentences == done and seen.hexdigest() != output.state["digest"]:
                    raise another_input(source, done)
            else:
                if window.first < done:
                    raise another_input(source, done)
                output.write(window, vectors([sentence.tokens for sentence in window.sentences]))
                output.commit(state_of(settings, seen))
            report(window, skipped)
        if seen.sentences < done:
            raise another_input(source, done)
        if not seen.sentences:
            output.commit(state_of(settings, seen))  # otherwise the last window's did
        output.finish()
    except BaseException:
        output.abandon()
        raise
    return seen.sentences


def _already_done(state: Mapping[str, Any], settings: Mapping[str, Any]) -> int:
    if not state:
        return 0
    check_settings(state["settings"], settings)
    return int(state["sentences"])
