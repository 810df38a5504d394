"""A backward of the LSTM's own, for training: what autograd computes for the reference, in fewer, larger products."""
