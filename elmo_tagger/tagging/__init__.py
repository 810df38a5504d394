"""Engine 2, tags: schemes (tags <-> spans), the CRF, scores. `crf` tells the model; `tests/reference` has slow twins."""
