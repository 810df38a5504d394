"""ELMo + BiLSTM-CRF sequence tagging.

The folders tell the way of the data: `text` (files, tokens, static vectors) -> `bilm` (character ids, biLM layers, mix)
-> `tagging` (CRF, tag schemes, scores). `plugin` is the AllenNLP coat around them, `corpus` works on annotated files,
`cli` is the `elmo-tagger` command.

Axis legend, used by every docstring and shape comment of the package:

    B  sentences of a batch          P  projection width of one biLM direction
    T  tokens, padding included      H  cell width of one LSTM direction
    C  characters of a token         L  biLM layers, the character CNN first
    F  filters of the CNN in all     D  embedding width
    W  distinct words of a batch     K  tags
    S  spans                         N  paths of an n-best list

A mask is `(B, T)` bool, true on real tokens.
"""

__version__ = "0.1.0"
