"""Every command explains itself, with an example."""

import click
import pytest

from service.cli import main
from tests.service.commands.conftest import Run


def commands(group: click.Group, *path: str) -> dict[tuple[str, ...], click.Command]:
    """Return a group and every command below it, by the words that lead there."""
    found: dict[tuple[str, ...], click.Command] = {path: group}
    context = click.Context(group, help_option_names=["-h", "--help"])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        below = (
            commands(command, *path, name) if isinstance(command, click.Group) else {(*path, name): command}
        )
        found |= below
    return found


COMMANDS = commands(main)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_examples_that_are_of_the_command(path: tuple[str, ...]) -> None:
    context = click.Context(
        COMMANDS[path],
        info_name=path[-1] if path else "batchbandit",
        help_option_names=["-h", "--help"],
    )
    told = COMMANDS[path].get_help(context)
    assert "Examples:" in told
    assert " ".join(["batchbandit", *path]) in told.split("Examples:")[1]


def test_every_command_that_prints_prints_json_too() -> None:
    silent = {("serve",), ("completion",)}
    without = {
        path
        for path, command in COMMANDS.items()
        if not isinstance(command, click.Group)
        and not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == silent


def test_both_spellings_of_help_work_everywhere_and_say_what_exit_codes_mean(run: Run) -> None:
    short, long = run("jobs", "-h"), run("jobs", "--help")
    assert short == long
    assert short.code == 0
    assert "6  no service can be reached" in short.out


def test_a_command_that_is_mistyped_is_a_usage_error(run: Run) -> None:
    done = run("jbos")
    assert (done.code, done.out) == (2, "")
    assert "No such command 'jbos'" in done.err
