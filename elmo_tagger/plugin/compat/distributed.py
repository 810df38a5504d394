"""Training on several processes."""

from typing import Any, Dict

import torch
from allennlp.commands.train import TrainModel
from allennlp.common.util import is_distributed
from allennlp.nn.util import dist_reduce_sum
from allennlp.training.util import evaluate


def evaluate_on_every_process() -> None:
    """Makes `evaluate_on_test` score the whole test set when training is `distributed`.

    Each process has read its own share of the test set, but AllenNLP has only the first evaluate: that scores one share
    and waits in vain for the others to add theirs.
    """
    run = TrainModel.run
    if getattr(run, "evaluates_everywhere", False):
        return

    def run_and_evaluate(self: TrainModel) -> Dict[str, Any]:
        metrics = run(self)
        loader = self.evaluation_data_loader
        # Other models' metrics wait for each other after every batch, which shares of unlike size cannot.
        together = getattr(self.model, "adds_metrics_when_reset", False)
        if is_distributed() and together and self.evaluate_on_test and loader is not None:
            scores = evaluate(self.model, loader, self.trainer.cuda_device, self.batch_weight_key)
            if "loss" in scores:
                scores["loss"] = dist_reduce_sum(scores["loss"]) / torch.distributed.get_world_size()
            metrics.update({f"test_{name}": score for name, score in scores.items()})
            self.evaluation_data_loader = None
        return metrics

    run_and_evaluate.evaluates_everywhere = True  # type: ignore[attr-defined]
    TrainModel.run = run_and_evaluate
