"""AllenNLP's parts of a tagger, exchanged for the engine's on a CPU.

The parameters are the same. Training takes less time; and what a model predicts is computed as `elmo_tagger.load`
computes it, to the bit, whatever sentences are beside one.
"""

from functools import cached_property
from typing import Any

import torch
from allennlp.modules import FeedForward, TimeDistributed
from allennlp.modules.seq2vec_encoders import CnnEncoder
from allennlp.modules.stacked_bidirectional_lstm import StackedBidirectionalLstm
from allennlp.modules.token_embedders import Embedding, TokenCharactersEncoder

from elmo_tagger.bilm.distinct import distinct_rows
from elmo_tagger.bilm.parameter_cache import ParameterCache
from elmo_tagger.tagger.character_encoders import Convolution
from elmo_tagger.tagger.dropout import Dropout
from elmo_tagger.tagger.linear import Linear, is_row_wise
from elmo_tagger.tagger.lstm import Lstm
from elmo_tagger.tagger.recurrence import Gru, Layers, run
from elmo_tagger.tagger.stacked_lstm import cells_of_stack

_WORDS_AT_ONCE = 128  # of similar lengths, so that few windows lie behind the end of a word


def with_faster_parts(model: torch.nn.Module) -> None:
    """Exchange a model's parts; their parameters, and the draws of dropout, stay theirs."""
    recurrent = {torch.nn.LSTM: Lstm, torch.nn.GRU: Gru, StackedBidirectionalLstm: RowWiseStackedLstm}
    dense = {torch.nn.Linear: Linear, torch.nn.Conv1d: Convolution}
    for part in model.modules():
        if type(part) is TokenCharactersEncoder and type(part._encoder._module) is CnnEncoder:
            part.__class__ = DistinctWordsEncoder
        _exchange(part, recurrent | {torch.nn.Dropout: Dropout})
        # not all there are: a transformer's would be kept twice, as they are and as a processor likes them
        if isinstance(part, (TimeDistributed, Embedding, CnnEncoder, FeedForward)):
            for each in part._linear_layers if isinstance(part, FeedForward) else part.children():
                _exchange(each, dense)


def _exchange(part: torch.nn.Module, classes: dict[type, type]) -> None:
    part.__class__ = classes.get(type(part), type(part))


class RowWiseStackedLstm(StackedBidirectionalLstm):
    """AllenNLP's stack; when it predicts on a CPU, the engine's.

    Not registered: `with_faster_parts` makes it.
    """

    @cached_property
    def _cells(self) -> ParameterCache[Layers]:
        return ParameterCache()

    def forward(self, inputs: Any, initial_state: Any = None) -> Any:
        """As `StackedBidirectionalLstm.forward`."""
        if self.training or initial_state is not None or not is_row_wise(inputs.data):
            return super().forward(inputs, initial_state)
        return run(self._cells.of(self.parameters(), lambda: cells_of_stack(self, self.num_layers)), inputs)


class DistinctWordsEncoder(TokenCharactersEncoder):
    """AllenNLP's `character_encoding` by a `cnn`; on a CPU each word of a batch is encoded once, beside words as long.

    Not registered: `with_faster_parts` makes it.
    """

    def forward(self, token_characters: torch.Tensor) -> torch.Tensor:
        """(B, T, characters of the longest word) ids, 0 at padding, to vectors (B, T, D)."""
        if token_characters.device.type != "cpu" or not token_characters.numel():
            return super().forward(token_characters)
        words, numbers = distinct_rows(token_characters.flatten(0, -2))
        lengths, order = (words != 0).sum(dim=1).sort(descending=True)
        widest = max(self._encoder._module._ngram_filter_sizes)
        vectors = []
        for group, longest in zip(order.split(_WORDS_AT_ONCE), lengths[::_WORDS_AT_ONCE].tolist(), strict=True):
            ids = words[group, : max(longest, widest)].unsqueeze(0)
            vectors.append(self._encoder(self._embedding(ids), (ids != 0).long()).squeeze(0))
        rows = torch.cat(vectors).index_select(0, order.argsort()[numbers])
        return self._dropout(rows.view(*token_characters.shape[:-1], -1))
