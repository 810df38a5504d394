"""The `elmo-tagger` command: one file per subcommand, none of which needs AllenNLP."""

from elmo_tagger.cli.app import main

__all__ = ["main"]
