"""Thin doors from other libraries to the tagger: `spacy`, a pipeline component; `hub`, for huggingface.co."""
