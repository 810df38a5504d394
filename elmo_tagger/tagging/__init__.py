"""Engine 2, tags: schemes, scores, and the CRF: `crf` tells the model, `tests/reference/crf.py` lists its sequences."""
