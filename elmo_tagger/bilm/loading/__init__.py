"""Where a biLM comes from: `.hdf5` weights, checkpoints and archives of AllenNLP, and the biLM of the package."""
