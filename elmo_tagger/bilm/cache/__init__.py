"""Layers of sentences kept on disk between epochs and runs, for a biLM that stays as it is."""
