"""The biLM on a CUDA GPU: the same numbers with few launches and, where weights stay as they are, one wait a batch.

For such weights in the order of use: `survey` (equal words found, all that the host must know fetched at once) ->
`schedule` (steps in chunks of fixed shape) -> `places` (where their words lie) -> `stack` (the layers over a chunk,
`gates` and `kernels` in a step) -> `replay` (a chunk recorded once as a CUDA graph, and played again).
For training `gradient`, with `slopes` and `training_kernels` in a step. `steps` says who computes a step.
"""
