"""`entity_f1`, entity precision, recall and F1 in strict and in conlleval's counting; and the scores of single tags."""

from itertools import compress
from typing import Dict, List, Optional, Sequence

import numpy as np
import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.util import is_distributed
from allennlp.data.vocabulary import Vocabulary
from allennlp.training.metrics import FBetaVerboseMeasure
from allennlp.training.metrics.metric import Metric

from elmo_tagger.tagging.partial import open_tokens, read_entities
from elmo_tagger.tagging.schemes import CHOICE, UNKNOWN, conlleval_spans
from elmo_tagger.tagging.scoring import EntityCounts
from elmo_tagger.tagging.span_arrays import PADDING, TagTable, count_matches
from elmo_tagger.tagging.strict import strict_spans


@Metric.register("entity_f1")
class EntityF1(Metric):
    """Counts entities after each batch and derives the scores when asked.

    `f1-measure-overall` and the scores of each type are strict (those of seqeval with `mode="strict"`); the overall
    scores in conlleval's counting stand beside them. The two differ on ill-formed tags only.

    Where true labels are partial, the entities count that are in all the tag sequences they allow, and predicted ones
    that are in some but not in all of them are left out; see `tagging.partial`.

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
            gold_labels: `(B, T)` tag ids; or `(B, T, K)` bool, the tags that each token may have.
            mask: `(B, T)` bool; all tokens count without it.

        Raises:
            ConfigurationError: Partial labels, but no `label_encoding`.
            TagSchemeError: No well-formed tag sequence takes the allowed tags.
        """
        if predictions.dim() == 3:
            predictions = predictions.argmax(-1)
        if gold_labels.dtype == torch.bool:
            real = torch.ones_like(predictions, dtype=torch.bool) if mask is None else mask
            whole = ((gold_labels.sum(-1) == 1) | ~real).all(1)
            self._count_partial(predictions[~whole], gold_labels[~whole], real[~whole])
            predictions, gold_labels, mask = predictions[whole], gold_labels[whole].int().argmax(-1), real[whole]
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
        self._tokens += [np.count_nonzero(tokens & (gold == predicted)), np.count_nonzero(tokens), 0]

    def _count_partial(self, predictions: torch.Tensor, allowed: torch.Tensor, mask: torch.Tensor) -> None:
        """Counts sentences with partial labels, one by one."""
        table = self._table
        if len(mask) and table.scheme is None:
            raise ConfigurationError("entity_f1: partial labels need a label_encoding, such as BIOUL")
        for row, labels in enumerate(partial_labels(allowed, mask, table.tags)):
            assert table.scheme is not None
            gold = read_entities(labels, table.scheme)
            tags = [table.tags[tag] for tag in predictions[row][mask[row]].tolist()]
            for side, predicted in enumerate((strict_spans(tags, table.scheme), conlleval_spans(tags))):
                counts = EntityCounts()
                counts.add(gold.certain, gold.counted(predicted))
                for kind, numbers in counts.state().items():
                    self._counts[side, table.types.index(kind)] += numbers
            left_out = sum(open_tokens(labels))
            right = sum(map(str.__eq__, tags, labels))  # a predicted tag is never a partial label
            self._tokens += [right, len(tags) - left_out, left_out]

    def get_metric(self, reset: bool = False) -> Dict[str, float]:
        """The scores so far; summed over processes when `reset`, which every process must then call.

        Returns:
            `accuracy` (fraction of tokens), `precision-overall`, `recall-overall`, `f1-measure-overall`,
            `conlleval-f1-overall`; with `reset` and `per_type` also `precision-TYPE`, `recall-TYPE`, `f1-measure-TYPE`.
            `tokens-left-out`, how many have partial labels, if there are any.
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
        if tokens[2]:
            metrics["tokens-left-out"] = int(tokens[2])
        if reset:
            self.reset()
        return metrics

    def reset(self) -> None:
        """Forgets all counts."""
        self._counts = np.zeros((2, len(self._table.types), 3), dtype=np.int64)
        self._tokens = np.zeros(3, dtype=np.int64)  # with the right tag, all that count, and those that are left out


class TagScores(Metric):
    """`crf_tagger`'s scores of single tags, whether or not they form entities, with its numbers.

    AllenNLP's own metrics add up over processes after each batch, and wait for ever where one process validates more
    batches than another. This one adds up when it is asked.

    Args:
        tags: In the order of their ids.
        per_tag: Whether `get_metric` also gives each tag's scores; only when it resets, to keep progress bars short.
    """

    def __init__(self, tags: Sequence[str], *, per_tag: bool = False) -> None:
        self._tags = tags
        self._per_tag = per_tag
        self.reset()

    def __call__(  # type: ignore[override]
        self, decoded: torch.Tensor, gold: torch.Tensor, mask: torch.Tensor
    ) -> None:
        """Counts a batch.

        Args:
            decoded: (B, T) predicted tag ids; what padding holds does not count.
            gold: (B, T) true tag ids.
            mask: (B, T) bool.
        """
        here, true, predicted = mask.flatten(), gold.flatten(), decoded.flatten().clamp(min=0)
        # `crf_tagger` gives 1 to the decoded tag and 0 to the others; how a sort orders those depends on its algorithm,
        # so this is what AllenNLP's accuracy does, on the same numbers in the same shape
        scores = torch.nn.functional.one_hot(predicted, len(self._tags)).float()
        among_three = (scores.sort(dim=-1, descending=True)[1][:, :3] == true.unsqueeze(1)).any(1)
        right = here & (predicted == true)
        columns = [torch.bincount(ids, minlength=len(self._tags)) for ids in (true[right], predicted[here], true[here])]
        self._counts += torch.stack(columns).cpu().numpy()
        self._among_three += int((among_three & here).sum())

    def get_metric(self, reset: bool = False) -> Dict[str, float]:
        """The scores so far; summed over processes when `reset`, which every process must then call.

        Returns:
            `accuracy` and `accuracy3`, fractions of tokens. With `reset` and `per_tag` also AllenNLP's `TAG-precision`,
            `TAG-recall` and `TAG-fscore`, and the same of the averages `micro`, `macro` and `weighted`.
        """
        counts, among_three = self._counts, np.array([self._among_three])
        if reset and is_distributed():
            counts, among_three = _summed(counts), _summed(among_three)
        tokens = max(int(counts[2].sum()), 1)
        metrics = {"accuracy": float(counts[0].sum() / tokens), "accuracy3": float(among_three[0] / tokens)}
        if reset and self._per_tag:
            measure = FBetaVerboseMeasure(index_to_label=dict(enumerate(self._tags)))
            measure._true_positive_sum, measure._pred_sum, measure._true_sum = torch.from_numpy(counts).float()
            metrics.update(measure.get_metric())
        if reset:
            self.reset()
        return metrics

    def reset(self) -> None:
        """Forgets all counts."""
        self._counts = np.zeros((3, len(self._tags)), dtype=np.int64)  # of each tag: right, predicted, true
        self._among_three = 0


def partial_labels(allowed: torch.Tensor, mask: torch.Tensor, tags: Sequence[str]) -> List[List[str]]:
    """The tags that tokens may have as labels of a file: a tag, a choice, or `?` where all are allowed.

    Args:
        allowed: (B, T, K) bool.
        mask: (B, T) bool; what is masked is left out.
        tags: The K tags.
    """
    return [
        [
            UNKNOWN if len(tags) > 1 and all(token) else CHOICE.join(compress(tags, token))
            for token in sentence[real].tolist()
        ]
        for sentence, real in zip(allowed, mask, strict=True)
    ]


def _summed(counts: np.ndarray) -> np.ndarray:
    """The sum over processes."""
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    total = torch.from_numpy(counts).to(device)
    torch.distributed.all_reduce(total)
    return total.cpu().numpy()
