"""Training on several processes, each of which has read its own share of the sentences."""

import functools
from typing import Any, Dict, Optional, Tuple

from allennlp.commands.train import TrainModel
from allennlp.common.util import is_distributed
from allennlp.nn.util import dist_reduce_sum
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer
from allennlp.training.util import evaluate


def validate_every_sentence() -> None:
    """Makes validation count all shares to their ends.

    AllenNLP has the processes look at each other before every batch and stop when the first share is finished; what the
    others have left is not validated. That is needed for metrics that are summed after every batch, and by DDP. Models
    whose `adds_metrics_when_reset` do without either: each process validates alone, then all add up.
    """
    validate = GradientDescentTrainer._validation_loss
    if getattr(validate, "validates_alone", False):
        return

    @functools.wraps(validate)
    def _validation_loss(self: GradientDescentTrainer, epoch: int) -> Tuple[float, Optional[float], int]:
        if not (self._distributed and getattr(self.model, "adds_metrics_when_reset", False)):
            return validate(self, epoch)
        wrapped = self._ddp_wrapped_model
        self._distributed, self._ddp_wrapped_model = False, None
        try:
            return validate(self, epoch)
        finally:
            self._distributed, self._ddp_wrapped_model = True, wrapped

    _validation_loss.validates_alone = True  # type: ignore[attr-defined]
    GradientDescentTrainer._validation_loss = _validation_loss


def evaluate_on_every_process() -> None:
    """Makes `evaluate_on_test` score the whole test set.

    AllenNLP has only the first process evaluate: that scores one share and waits in vain for the others to add theirs.
    """
    run = TrainModel.run
    if getattr(run, "evaluates_everywhere", False):
        return

    @functools.wraps(run)
    def run_and_evaluate(self: TrainModel) -> Dict[str, Any]:
        metrics = run(self)
        loader = self.evaluation_data_loader
        together = getattr(self.model, "adds_metrics_when_reset", False)
        if is_distributed() and together and self.evaluate_on_test and loader is not None:
            scores = evaluate(self.model, loader, self.trainer.cuda_device, self.batch_weight_key)
            batches = len(loader)
            loss = dist_reduce_sum(scores.get("loss", 0.0) * batches)
            batches = dist_reduce_sum(batches)
            if "loss" in scores:
                scores["loss"] = loss / batches
            metrics.update({f"test_{name}": score for name, score in scores.items()})
            self.evaluation_data_loader = None
        return metrics

    run_and_evaluate.evaluates_everywhere = True  # type: ignore[attr-defined]
    TrainModel.run = run_and_evaluate
