"""The biLM on a CUDA GPU while no gradients are recorded: few launches, and one wait a batch.

In the order of use: `deduplicate` (equal words found, all that the host must know fetched at once) -> `schedule` (steps
in chunks of fixed shape) -> `indices` (where their words lie) -> `stack` (the layers over a chunk; a step's small
operations are those of `reference_ops` or `kernels`, as `ops` chooses) -> `graph_cache` (a chunk recorded once as a
CUDA graph, and played again). `inference` puts them together.
"""
