"""`calibrate`: a training ends with finding the temperature that makes the tagger's confidences mean what they say."""

import logging
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

import torch
from allennlp.nn.util import dist_reduce_sum, get_text_field_mask, move_to_device
from allennlp.training import gradient_descent_trainer
from allennlp.training.callbacks.callback import TrainerCallback
from allennlp.training.gradient_descent_trainer import GradientDescentTrainer

from elmo_tagger.plugin.model import ElmoBilstmCrf
from elmo_tagger.tagging.temperature import Batch, TemperatureError, fit_temperature

logger = logging.getLogger(__name__)

METRIC = "temperature"


@TrainerCallback.register("calibrate")
class Calibration(TrainerCallback):
    """Fits the temperature of the best weights on the validation data, and saves it with them.

    Every training of an `elmo_bilstm_crf` has it, as one of AllenNLP's default callbacks, unless the model says
    `"calibrate": false`. The temperature is among the metrics of the training. Data of which nothing can be learned,
    as a file of unknown labels, cost a warning and leave it at 1.
    """

    def on_end(
        self,
        trainer: GradientDescentTrainer,  # type: ignore[override]
        metrics: Optional[Dict[str, Any]] = None,
        epoch: Optional[int] = None,
        is_primary: bool = True,
        **kwargs: Any,
    ) -> None:
        """Does it, if the training came to its end and has validation data."""
        model = trainer.model
        loader = trainer._validation_data_loader
        if metrics is None or loader is None or not isinstance(model, ElmoBilstmCrf) or not model.calibrate:
            return
        try:
            fit = fit_temperature(model.crf, _scored(model, loader, trainer.cuda_device), total=dist_reduce_sum)
        except TemperatureError as error:
            logger.warning("the confidences are not calibrated, the temperature stays 1: %s", error)
            return
        metrics[METRIC] = fit.temperature
        best = trainer.get_best_weights_path()
        if is_primary and best is not None:
            _save_temperature(Path(best), fit.temperature)


def calibrate_by_default() -> None:
    """Makes `calibrate` one of the callbacks that AllenNLP's trainer has unless `enable_default_callbacks` is false."""
    if Calibration not in gradient_descent_trainer.DEFAULT_CALLBACKS:
        gradient_descent_trainer.DEFAULT_CALLBACKS = (*gradient_descent_trainer.DEFAULT_CALLBACKS, Calibration)


def _save_temperature(path: Path, temperature: float) -> None:
    """Adds it to a file of weights, which is there in full at any time; it may be a checkpoint's under another name."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    weights["crf.temperature"] = torch.tensor(temperature)
    partial = path.with_name(f"{path.name}.partial")
    torch.save(weights, partial)
    partial.replace(path)


def _scored(model: ElmoBilstmCrf, loader: Any, device: torch.device) -> Iterator[Batch]:
    """Scores and true tags of validation data."""
    model.eval()
    with torch.no_grad():
        for batch in loader:
            if "tags" in batch:
                batch = move_to_device(batch, device)
                mask = get_text_field_mask(batch["tokens"])
                yield model.emissions(batch["tokens"], mask), batch["tags"], mask
