"""Thin doors from other libraries to the tagger.

`spacy` has a pipeline component, `presidio` a recogniser of personal data, `hub` taggers on huggingface.co.
"""
