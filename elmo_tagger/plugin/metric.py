"""`entity_f1`, entity precision, recall and F1 in strict and in conlleval's counting; and the scores of single tags."""

from typing import Dict, List, Optional

import numpy as np
import torch
from allennlp.common.util import is_distributed
from allennlp.data.vocabulary import Vocabulary
from allennlp.training.metrics.metric import Metric

from elmo_tagger.tagging.scoring import EntityCounts, Score
from elmo_tagger.tagging.span_arrays import PADDING, TagTable, count_matches


@Metric.register("entity_f1")
class EntityF1(Metric):
    """Counts entities after each batch and derives the scores when asked.

    `f1-measure-overall` and the scores of each type are strict (those of seqeval with `mode="strict"`); the overall
    scores in conlleval's counting stand beside them. The two differ on ill-formed tags only.

    Args:
        vocabulary: Holds the tags.
        tag_namespace: Where.
        label_encoding: The tags' scheme. None reads all tags as conlleval does.
        per_type: Whether `get_metric` also gives each type's scores; only when it resets, to keep progress bars short.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        tag_namespace: str = "labels",
        label_encoding: Optional[str] = None,
        per_type: bool = True,
    ) -> None:
        names = vocabulary.get_index_to_token_vocabulary(tag_namespace)
        self._table = TagTable([names[index] for index in range(len(names))], label_encoding)
        self._per_type = per_type
        self.reset()

    def __call__(
        self,
        predictions: torch.Tensor,
        gold_labels: torch.Tensor,
        mask: Optional[torch.BoolTensor] = None,
    ) -> None:
        """Counts a batch.

        Args:
            predictions: `(B, T)` tag ids, or `(B, T, K)` scores of which the highest counts.
            gold_labels: `(B, T)` tag ids.
            mask: `(B, T)` bool; all tokens count without it.
        """
        if predictions.dim() == gold_labels.dim() + 1:
            predictions = predictions.argmax(-1)
        pair = torch.stack((gold_labels, predictions))
        if mask is not None:
            pair = pair.masked_fill(~mask, PADDING)
        # The one copy from the device.
        gold, predicted = pair.to("cpu", torch.int64).numpy()
        types = len(self._table.types)
        table = self._table
        self._counts[0] += count_matches(table.strict_spans(gold), table.strict_spans(predicted), types)
        self._counts[1] += count_matches(table.conlleval_spans(gold), table.conlleval_spans(predicted), types)
        tokens = gold != PADDING
        self._tokens += [np.count_nonzero(tokens & (gold == predicted)), np.count_nonzero(tokens)]

    def get_metric(self, reset: bool = False) -> Dict[str, float]:
        """The scores so far; summed over processes when `reset`, which every process must then call.

        Returns:
            `accuracy` (fraction of tokens), `precision-overall`, `recall-overall`, `f1-measure-overall`,
            `conlleval-f1-overall`; with `reset` and `per_type` also `precision-TYPE`, `recall-TYPE`, `f1-measure-TYPE`.
        """
        counts, tokens = self._counts, self._tokens
        if reset and is_distributed():
            counts, tokens = _summed(counts), _summed(tokens)
        strict, loose = (EntityCounts(dict(zip(self._table.types, side.tolist(), strict=True))) for side in counts)
        scores = {"overall": strict.micro()}
        if reset and self._per_type:
            scores.update({name: strict[name] for name in strict.types()})
        metrics = {"accuracy": float(tokens[0] / max(tokens[1], 1))}
        for name, score in scores.items():
            metrics[f"precision-{name}"] = score.precision
            metrics[f"recall-{name}"] = score.recall
            metrics[f"f1-measure-{name}"] = score.f1
        metrics["conlleval-f1-overall"] = loose.micro().f1
        if reset:
            self.reset()
        return metrics

    def reset(self) -> None:
        """Forgets all counts."""
        self._counts = np.zeros((2, len(self._table.types), 3), dtype=np.int64)
        self._tokens = np.zeros(2, dtype=np.int64)


class TagAccuracy(Metric):
    """The numbers that AllenNLP's `crf_tagger` reports of single tags, whether or not they form entities.

    Args:
        tags: The K tags, in the order of their ids.
        per_tag: Whether `get_metric` also gives each tag's scores; only when it resets, to keep progress bars short.
    """

    def __init__(self, tags: List[str], per_tag: bool = False) -> None:
        self._tags = tags
        self._per_tag = per_tag
        self.reset()

    def __call__(  # type: ignore[override]
        self, decoded: torch.Tensor, gold: torch.Tensor, mask: torch.Tensor, emissions: torch.Tensor
    ) -> None:
        """Counts a batch.

        Args:
            decoded: (B, T) predicted tag ids, what padding holds does not count.
            gold: (B, T) true tag ids.
            mask: (B, T) bool.
            emissions: (B, T, K) scores; they rank the tags that were not predicted.
        """
        here = mask.to(decoded.device)
        truth, guess = gold.to(decoded.device)[here].cpu().numpy(), decoded[here].cpu().numpy()
        columns = (truth, guess, truth[truth == guess])
        self._counts += np.stack([np.bincount(ids, minlength=len(self._tags)) for ids in columns], axis=1)
        # The predicted tag stands before all others; a tag is among the first three if fewer than three precede it.
        predicted, true = (ids.to(emissions.device).clamp(min=0).unsqueeze(2) for ids in (decoded, gold))
        ranked = emissions.detach().scatter(2, predicted, torch.inf)
        preceding = (ranked > ranked.gather(2, true)).sum(2)
        self._among_three += int(((preceding < 3) & mask.to(emissions.device)).sum())

    def get_metric(self, reset: bool = False) -> Dict[str, float]:
        """The scores so far; summed over processes when `reset`, which every process must then call.

        Returns:
            `accuracy`, the fraction of tokens with the right tag, and `accuracy3`, that of tokens whose tag is the
            predicted one or one of the two others with the highest emissions. With `reset` and `per_tag` also
            `TAG-precision`, `TAG-recall` and `TAG-fscore`, and the same of their averages `micro`, `macro`
            (all tags alike) and `weighted` (by the tags' frequency in the true tags).
        """
        counts, among_three = self._counts, np.array([self._among_three])
        if reset and is_distributed():
            counts, among_three = _summed(counts), _summed(among_three)
        tokens = max(int(counts[:, 0].sum()), 1)
        metrics = {"accuracy": counts[:, 2].sum() / tokens, "accuracy3": among_three[0] / tokens}
        if reset and self._per_tag:
            metrics.update(self._of_tags(counts, tokens))
        if reset:
            self.reset()
        return {name: float(value) for name, value in metrics.items()}

    def _of_tags(self, counts: np.ndarray, tokens: int) -> Dict[str, float]:
        scores = [Score(*row) for row in counts.tolist()]
        columns = {
            "precision": np.array([score.precision for score in scores]),
            "recall": np.array([score.recall for score in scores]),
            "fscore": np.array([score.f1 for score in scores]),
        }
        metrics: Dict[str, float] = {}
        for name, values in columns.items():
            metrics.update({f"{tag}-{name}": value for tag, value in zip(self._tags, values, strict=True)})
            # Every token has one true and one predicted tag, so all three micro averages are the accuracy.
            metrics[f"micro-{name}"] = counts[:, 2].sum() / tokens
            metrics[f"macro-{name}"] = values.mean()
            metrics[f"weighted-{name}"] = (values * counts[:, 0]).sum() / tokens
        return metrics

    def reset(self) -> None:
        """Forgets all counts."""
        self._counts = np.zeros((len(self._tags), 3), dtype=np.int64)  # true, predicted, right
        self._among_three = 0


def _summed(counts: np.ndarray) -> np.ndarray:
    """The sum over processes."""
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    total = torch.from_numpy(counts).to(device)
    torch.distributed.all_reduce(total)
    return total.cpu().numpy()
