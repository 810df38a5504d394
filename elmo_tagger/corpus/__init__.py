"""Annotated files as a whole: checked, converted, scored, compared."""
