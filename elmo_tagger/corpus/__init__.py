"""Annotated files as a whole: what `elmo-tagger check`, `convert`, `score` and `compare` do.

In go paths of annotated files, of any format and tag scheme, and what any tagger predicted for them; out come reports
as plain data, or the converted file. Begin with `sources`, which finds out how a file is to be read and gives its
sentences; then `check`, `convert`, `score` and `compare`, each with the parts that it names.
"""
