"""AllenNLP's parts of a tagger that compute the same in less time on a CPU."""

import torch
from allennlp.modules.seq2vec_encoders import CnnEncoder
from allennlp.modules.token_embedders import TokenCharactersEncoder

from elmo_tagger.bilm.distinct import distinct_rows
from elmo_tagger.tagger.lstm import Lstm

_WORDS_AT_ONCE = 128  # of similar lengths, so that few windows lie behind the end of a word


def with_faster_parts(model: torch.nn.Module) -> None:
    """Replace what is slow to train among a model's parts; their parameters, and the draws of dropout, stay theirs."""
    for part in model.modules():
        if type(part) is torch.nn.LSTM:
            part.__class__ = Lstm
        elif type(part) is TokenCharactersEncoder and type(part._encoder._module) is CnnEncoder:
            part.__class__ = DistinctWordsEncoder


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
