"""The `elmo-tagger` command.

Options of the shell go in; files, tables or JSON come out, and an error in the data as one line. `app` lists the
subcommands and is where to begin: each is a file of its name, which reads options and prints, and calls `tagger`,
`corpus`, `vectors` or `serve` for the work. Only `train` needs AllenNLP.
"""

from elmo_tagger.cli.app import main

__all__ = ["main"]
