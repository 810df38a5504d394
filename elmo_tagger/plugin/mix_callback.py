"""`elmo_mix`, the trainer callback that puts the learnt mix among an epoch's metrics."""

from pathlib import Path
from typing import Any, Dict

from allennlp.common.util import dump_metrics
from allennlp.training.callbacks import TrainerCallback

from elmo_tagger.plugin.embedder import mix_metrics


@TrainerCallback.register("elmo_mix")
class ElmoMixCallback(TrainerCallback):
    """For models that are not this project's: adds each layer's share and gamma to `metrics_epoch_*.json`.

    Callbacks that stand after it in the config, such as `tensorboard`, log them too.
    """

    def on_epoch(
        self, trainer: Any, metrics: Dict[str, Any], epoch: int, is_primary: bool = True, **kwargs: Any
    ) -> None:
        """Adds `training_mix_layer_0`, ..., `training_mix_gamma`."""
        metrics.update({f"training_{name}": value for name, value in mix_metrics(trainer.model).items()})
        # AllenNLP has written the file before it calls
        if is_primary and self.serialization_dir is not None:
            dump_metrics(str(Path(self.serialization_dir) / f"metrics_epoch_{epoch}.json"), metrics)
