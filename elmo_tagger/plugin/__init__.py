"""The AllenNLP coat: one file per registered thing."""
