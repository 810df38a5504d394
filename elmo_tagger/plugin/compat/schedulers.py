"""Learning rate schedulers whose torch counterparts have changed."""

import logging
from typing import List, Union

import torch
from allennlp.training.learning_rate_schedulers import LearningRateScheduler
from allennlp.training.learning_rate_schedulers.learning_rate_scheduler import (
    _PyTorchLearningRateSchedulerWithMetricsWrapper,
)
from allennlp.training.optimizers import Optimizer


class ReduceOnPlateau(_PyTorchLearningRateSchedulerWithMetricsWrapper):
    """`reduce_on_plateau` for a torch whose `ReduceLROnPlateau` no longer takes `verbose`.

    Args:
        optimizer: Given by the trainer.
        mode: `"min"` or `"max"`: which way the validation metric improves.
        factor: What the learning rate is multiplied by.
        patience: Epochs without improvement before that.
        verbose: Accepted for old configs; the learning rate is in the logs anyway.
        threshold_mode: `"rel"` or `"abs"`.
        threshold: The smallest change that counts as an improvement.
        cooldown: Epochs to wait after a reduction.
        min_lr: Lower bound, one number or one for each parameter group.
        eps: Reductions smaller than this are skipped.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        verbose: bool = False,
        threshold_mode: str = "rel",
        threshold: float = 1e-4,
        cooldown: int = 0,
        min_lr: Union[float, List[float]] = 0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(
            torch.optim.lr_scheduler.ReduceLROnPlateau(
                optimizer,
                mode=mode,
                factor=factor,
                patience=patience,
                threshold_mode=threshold_mode,
                threshold=threshold,
                cooldown=cooldown,
                min_lr=min_lr,
                eps=eps,
            )
        )


def replace_reduce_on_plateau() -> None:
    """Registers it in the place of AllenNLP's, without the line that this would leave in every log."""
    registrations = logging.getLogger("allennlp.common.registrable")
    level = registrations.level
    registrations.setLevel(logging.WARNING)
    LearningRateScheduler.register("reduce_on_plateau", exist_ok=True)(ReduceOnPlateau)
    registrations.setLevel(level)
