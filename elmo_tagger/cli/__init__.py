"""The `elmo-tagger` command: one file per subcommand, none of which needs AllenNLP."""
