"""The commands that documents name: whether the project has them, and their options."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile

import click

from service.cli import main
from tests.conftest import ROOT

TARGETS = frozenset(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
INLINE = re.compile(r"(?<!`)`((?:batchbandit|make|python -m) [^`]+)`(?!`)")
ENDS = {"|", "||", "&&", ";", ">", "2>", "<", "&", ")"}
"""Where a command ends among the words of a line."""


def commands_in(script: str) -> Iterator[list[str]]:
    """Return the project's own commands in a script of a shell, word by word."""
    for line in script.replace("\\\n", " ").splitlines():
        for begin in re.finditer(r"(?:^|[|;&(]|\$\()\s*(?=(?:batchbandit|make|python -m) )", line):
            yield words_of(line[begin.end() :])


def words_of(command: str) -> list[str]:
    """Return the words of a command up to where it ends, or up to a quotation that goes on."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;&<>()")
    lexer.whitespace_split = True
    try:
        return list(takewhile(lambda word: word not in ENDS, lexer))
    except ValueError:
        return command.split()


def flaw_of(words: list[str]) -> str | None:
    """Return what is wrong with a command of the project, None where nothing is."""
    match words:
        case ["make", target, *_]:
            return None if target in TARGETS else f"no target {target}"
        case ["python", "-m", module, *_]:
            return None if importlib.util.find_spec(module) else f"no module {module}"
        case ["batchbandit", *rest]:
            return _flaw_of_ours(rest)
    return None


def _flaw_of_ours(words: list[str]) -> str | None:
    command: click.Command = main
    context = click.Context(main, info_name="batchbandit", help_option_names=["-h", "--help"])
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return f"{context.command_path} has no command {words[0]}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    known = {option for parameter in command.get_params(context) for option in parameter.opts}
    named = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return f"{context.command_path} has no {', '.join(sorted(named - known))}" if named - known else None
