"""The biLM of weights that stay as they are, on a CPU: what the reference computes, several times faster."""
