"""Tags and the CRF: from scores of tags to tag sequences, entities and probabilities; nothing here knows of ELMo.

In go scores `(B, T, K)` and a mask, out come the best tags, how probable each entity is, or the likelihood of the true
tags. Begin with `crf`, the whole model with the algorithms that it calls (`viterbi`, `forward_backward`, `n_best`,
`posteriors`); `tests/reference/crf.py` does the same by listing all tag sequences.

`schemes` turns tags into entities and back, `detection` tells which scheme a file has, `partial` reads labels that
leave tags open, and `scoring` counts what is right.
"""
