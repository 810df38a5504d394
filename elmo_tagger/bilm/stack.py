"""The LSTM layers of a biLM over a padded batch: packing, skip connections, carried state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from elmo_tagger.bilm.lstm import ProjectedLstm, State, initial_state
from elmo_tagger.bilm.options import LstmOptions
from elmo_tagger.bilm.packing import Packing, pack

RunLayer = Callable[[ProjectedLstm, Tensor, list[int], State], tuple[Tensor, State]]
"""What runs one layer over a chunk of steps, as `ProjectedLstm.forward` does."""


class LstmStack(nn.Module):
    """The layers of both directions, and the state that a stateful biLM carries from call to call.

    Args:
        options: Shape of the layers.
        stateful: Whether calls begin with the state that the call before left in the same row of the batch.
    """

    def __init__(self, options: LstmOptions, *, stateful: bool = False) -> None:
        super().__init__()
        self.options = options
        self.stateful = stateful
        self.layers = nn.ModuleList(ProjectedLstm(options) for _ in range(options.n_layers))
        self._carried: list[State] | None = None

    def forward(
        self,
        vectors: Tensor,
        words: Tensor,
        states: list[State] | None = None,
        *,
        depths: Sequence[int],
        max_words: int | None = None,
        run_layer: RunLayer = ProjectedLstm.__call__,
    ) -> dict[int, Tensor]:
        """Run the layers over a batch.

        A chunk of steps goes through all layers before the next chunk begins: within a direction, layer l at a word
        needs nothing but layer l - 1 at the words up to it. So only outputs and states are held for longer than a
        chunk.

        Args:
            vectors: (W, P), character-CNN vectors of words.
            words: (B, T) int64, rows of `vectors`, `NO_WORD` where there is none.
            states: For each layer the state of all B sentences, overwritten by that afterwards; all layers run then,
                since a state must not depend on which layers were asked for. None for zeros that nobody needs
                afterwards; then no layer deeper than `depths` runs.
            depths: The layers wanted, counted from 1.
            max_words: Bound on the words of a chunk.
            run_layer: What runs one layer over a chunk; the layer itself by default.

        Returns:
            For each layer wanted (B, T, 2P), forward then backward, 0 where there is no word.
        """
        outputs = {depth: vectors.new_zeros(words.numel(), 2, vectors.shape[1]) for depth in depths}
        rows = words.flatten()
        for packing, own in self.packings(words, states, depths=depths, like=vectors, max_sentences=max_words):
            for sizes, indices in packing.chunks(max_words):
                values = vectors[rows[indices]]  # (2, N, P)
                for depth, state in enumerate(own, start=1):
                    below = values
                    layer = cast(ProjectedLstm, self.layers[depth - 1])
                    values, own[depth - 1] = run_layer(layer, below, sizes, state)
                    values = values.to(below.dtype)
                    if depth > 1 and self.options.use_skip_connections:
                        values = values + below
                    if depth in outputs:
                        for direction in (0, 1):
                            outputs[depth][indices[direction], direction] = values[direction]
        return {depth: output.view(*words.shape, 2 * vectors.shape[1]) for depth, output in outputs.items()}

    def packings(
        self,
        words: Tensor,
        states: list[State] | None,
        *,
        depths: Sequence[int],
        like: Tensor,
        max_sentences: int | None,
    ) -> Iterator[tuple[Packing, list[State]]]:
        """A batch as packings, each with the states of its sentences for the layers that have to run.

        What the list of states holds when the next packing is asked for is written back into `states`, without
        gradients.

        Args:
            words: As in `forward`.
            states: As in `forward`.
            depths: As in `forward`.
            like: Gives type and device of states that are 0.
            max_sentences: Bound on the sentences of a packing.
        """
        layers = max(depths, default=0) if states is None else len(states)
        for packing in pack(words, max_sentences=max_sentences) if layers else ():
            sentences = packing.sentences
            if states is None:
                yield packing, [initial_state(self.options, len(sentences), like=like) for _ in range(layers)]
                continue
            own = [(output[:, sentences], cell[:, sentences]) for output, cell in states]
            yield packing, own
            for (output, cell), (own_output, own_cell) in zip(states, own, strict=True):
                output[:, sentences], cell[:, sentences] = own_output.detach().to(output.dtype), own_cell.detach()

    def carried_states(self, sentences: int, *, like: Tensor) -> list[State]:
        """For each layer the state before a call; rows of the batch that no call has used yet are 0."""
        fresh = [initial_state(self.options, sentences, like=like) for _ in self.layers]
        for new, old in zip(fresh, self._carried or [], strict=False):
            for new_part, old_part in zip(new, old, strict=True):
                shared = min(sentences, old_part.shape[1])
                new_part[:, :shared] = old_part[:, :shared]
        return fresh

    def carry(self, states: list[State]) -> None:
        """Keep the states after a call; rows beyond a smaller batch stay as they were (AllenNLP, _EncoderBase)."""
        if self._carried is not None:
            sentences = states[0][0].shape[1]
            states = [
                (torch.cat([output, old_output[:, sentences:]], 1), torch.cat([cell, old_cell[:, sentences:]], 1))
                for (output, cell), (old_output, old_cell) in zip(states, self._carried, strict=True)
            ]
        self._carried = states

    def reset_states(self) -> None:
        """Forget the carried state. AllenNLP calls this on every module that says it is `stateful`."""
        self._carried = None
