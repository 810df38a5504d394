"""The `elmo-tagger` command: one file per subcommand; only `train` needs AllenNLP."""

from elmo_tagger.cli.app import main

__all__ = ["main"]
