"""`elmo_bilm`: a biLM in training."""

import time
from typing import Any, Dict, List, Optional, Tuple

import torch
from allennlp.common.checks import ConfigurationError
from allennlp.common.file_utils import cached_path
from allennlp.common.util import is_distributed
from allennlp.data.vocabulary import Vocabulary
from allennlp.models import Model
from allennlp.nn import RegularizerApplicator

from elmo_tagger.bilm import Options
from elmo_tagger.bilm.loading import checkpoint
from elmo_tagger.bilm.loading.bundled import files_of
from elmo_tagger.bilm.training import BilmLanguageModel, LmBatch, Perplexity
from elmo_tagger.plugin.lm_vocabulary import predicted_words


@Model.register("elmo_bilm")
class ElmoBilm(Model):
    """Two language models, forward and backward, that share a character CNN and a softmax.

    Its metrics are `perplexity`, of both directions' mean loss, `forward_perplexity` and `backward_perplexity`; while
    training also `tokens_per_second`. Training perplexities are those of the loss, which a sampled softmax and dropout
    change; those of validation and `allennlp evaluate` are exact.

    Args:
        vocab: Given by AllenNLP; see `lm_vocabulary`.
        options: The biLM's, as in `options.json`.
        options_file: Or their file: path or URL.
        weight_file: Start from these `.hdf5` weights, path, URL or `"starter"`, and not from random ones. The softmax,
            which they do not hold, starts at random.
        samples: Negative samples of a training step; absent for the exact softmax.
        dropout: Of the input of each LSTM layer and of the softmax.
        precision: `"float32"`, or `"bfloat16"` for matrix products in that type while training.
        loss_scale: The training loss is multiplied by it, which matters to a bound on gradients and to AdaGrad's start;
            bilm-tf's is the number of steps.
        regularizer: As usual.
        serialization_dir: Given by AllenNLP.
    """

    adds_metrics_when_reset = True  # see compat.evaluate_on_every_process

    def __init__(
        self,
        vocab: Vocabulary,
        options: Optional[Dict[str, Any]] = None,
        options_file: Optional[str] = None,
        weight_file: Optional[str] = None,
        samples: Optional[int] = None,
        dropout: float = 0.1,
        precision: str = "float32",
        loss_scale: float = 1.0,
        regularizer: Optional[RegularizerApplicator] = None,
        serialization_dir: Optional[str] = None,
    ) -> None:
        super().__init__(vocab, regularizer, serialization_dir)
        options_file, weight_file = _files(options, options_file, weight_file)
        trained = next(iter(checkpoint.find(serialization_dir, options_file, weight_file)), None)
        shape = _options(options, options_file, trained)
        words = len(predicted_words(vocab))
        try:
            self.language_model = BilmLanguageModel(shape, words, samples=samples, dropout=dropout, precision=precision)
        except ValueError as error:
            raise ConfigurationError(f"elmo_bilm: {error}") from error
        # whoever loads an archive overwrites all weights anyhow, and the file may be gone
        if weight_file is not None and trained is None:
            self.language_model.bilm.load_weights(cached_path(weight_file))
        self._loss_scale = loss_scale
        self._perplexity = Perplexity()
        # sums of losses and words of batches that no metric was asked for yet: reading the sums waits for the device
        self._unread: List[Tuple[torch.Tensor, int]] = []
        self._words_in_training = 0
        self._start: Optional[float] = None

    def forward(
        self,
        character_ids: torch.Tensor,
        rows: torch.Tensor,
        targets: torch.Tensor,
        sizes: List[int],
        carried: bool,
    ) -> Dict[str, torch.Tensor]:
        """The loss of a batch, which `lm_stream` makes.

        Returns:
            `loss`: nats, mean over words and directions, times `loss_scale` while training.
        """
        expected = self.language_model.bilm.options.char_cnn.max_characters_per_token
        if character_ids.shape[1] != expected:
            raise ConfigurationError(
                f"the data loader gives {character_ids.shape[1]} characters a token, but the biLM's options say "
                f'{expected}: set "max_characters_per_token": {expected} in lm_stream'
            )
        if self.training and self._start is None:
            self._start = time.monotonic()
        batch = LmBatch(character_ids, rows, targets, sizes, carried)
        total, sums = self.language_model(batch)
        self._unread.append((sums, batch.words))
        self._words_in_training += batch.words if self.training else 0
        loss = total / max(2 * batch.words, 1)
        return {"loss": loss * self._loss_scale if self.training else loss}

    def get_metrics(self, reset: bool = False) -> Dict[str, float]:
        """Perplexities and, while training, speed; of all processes when `reset`, which every one must then call."""
        for sums, count in self._unread:
            self._perplexity.add(*sums.tolist(), count)
        self._unread = []
        perplexity, words = self._perplexity, self._words_in_training
        if reset and is_distributed():
            perplexity, words = _summed(perplexity, words)
        metrics = perplexity.scores()
        if self._start is not None:
            metrics["tokens_per_second"] = words / max(time.monotonic() - self._start, 1e-9)
        if reset:
            self._perplexity, self._words_in_training, self._start = Perplexity(), 0, None
        return metrics

    def load_state_dict(self, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
        """As usual; weights from before a change of vocabulary are refused with both sizes."""
        found = state_dict.get("language_model.softmax.W")
        expected = self.language_model.softmax.W
        if found is not None and found.shape != expected.shape:
            raise ConfigurationError(
                f"the weights predict {len(found)} words, the vocabulary has {len(expected)}: "
                "expected the vocabulary that they were trained with"
            )
        return super().load_state_dict(state_dict, *args, **kwargs)


def _files(
    options: Optional[Dict[str, Any]], options_file: Optional[str], weight_file: Optional[str]
) -> Tuple[Optional[str], Optional[str]]:
    """Those of a biLM of the package, if one is named."""
    try:
        named = files_of(weight_file, options_file)
    except ValueError as error:
        raise ConfigurationError(f"weight_file, options_file: {error}") from error
    if named is not None and options is not None:
        raise ConfigurationError(
            f"{weight_file}: a biLM of the package has its own options, expected none in the config"
        )
    return named or (options_file, weight_file)


def _options(
    options: Optional[Dict[str, Any]], options_file: Optional[str], trained: Optional[checkpoint.Checkpoint]
) -> Options:
    if trained is not None:
        return Options.from_dict(trained.description["options"], source="the weights")
    if (options is None) == (options_file is None):
        raise ConfigurationError("elmo_bilm: expected one of options and options_file")
    if options_file is not None:
        return Options.from_file(cached_path(options_file))
    cnn = options.get("char_cnn")
    if isinstance(cnn, dict):
        # known from how characters are numbered; that its file says 261 or 262 has cost many users a day
        options = {**options, "char_cnn": {"n_characters": 262, **cnn}}
    return Options.from_dict(options, source="model.options")


def _summed(perplexity: Perplexity, words: int) -> Any:
    """The sums over processes."""
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    sums = [perplexity.forward, perplexity.backward, perplexity.words, words]
    total = torch.tensor(sums, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(total)
    forward, backward, predicted, trained = total.tolist()
    return Perplexity(forward, backward, int(predicted)), int(trained)
