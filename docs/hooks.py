"""What MkDocs asks for while it builds the site: the options of a command, taken from the command itself."""

from __future__ import annotations

import re
from typing import Any

import typer.main

from elmo_tagger.cli.app import app

_DIRECTIVE = re.compile(r"^::: command (\S+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts what a command says of itself in the place of each line `::: command NAME`."""
    return _DIRECTIVE.sub(lambda match: describe(match[1]), markdown)


def describe(name: str) -> str:
    """A command's purpose and a table of its arguments and options, as Markdown.

    Raises:
        KeyError: There is no such command.
    """
    command: Any = typer.main.get_command(app)
    command = command.commands[name]
    lines = [_sentence(command.help), "", "| argument or option | what | default |", "|---|---|---|"]
    lines += [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    return "\n".join(lines) + "\n"


def _row(parameter: Any) -> str:
    named = any(name.startswith("-") for name in parameter.opts)
    shown = parameter.opts if named else [parameter.metavar or parameter.name.upper()]
    names = ", ".join(f"`{name}`" for name in (*shown, *parameter.secondary_opts))
    if parameter.required:
        default = "required"
    else:
        value = parameter.default
        default = "" if value is None or value is False or callable(value) else f"`{value}`"
    return f"| {names} | {_cell(parameter.help)} | {default} |"


def _cell(text: str | None) -> str:
    return _sentence(text).replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def _sentence(text: str | None) -> str:
    return " ".join((text or "").split())
