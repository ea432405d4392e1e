"""The command line: ``batchbandit``."""

import errno
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import click

from service.commands.examples import examples
from service.commands.outcomes import Exit, Failed

COMMANDS = {
    "completion": "service.commands.completion:completion",
    "db": "service.commands.databases:db",
    "import-zeus": "service.commands.importing:import_zeus",
    "jobs": "service.commands.jobs:jobs",
    "serve": "service.serve_command:serve",
    "simulate": "service.commands.simulating:simulate_runs",
    "token": "service.commands.tokens:token",
    "trials": "service.commands.trials:trials",
}
"""Where each command is."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Search for no garbage: what is imported stays, and searching through it took a sixth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Commands(click.Group):
    """A group that imports a command when it is called: who lists jobs need not wait for what serves them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's own face)
        """Return the names of the commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, None where there is none of the name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        with nothing_collected():
            command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Carry out a command; one that is broken off ends with a code of its own."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Failed(Exit.INTERRUPTED, "interrupted") from None
        except BrokenPipeError:
            # What is left in its buffer would fail once more when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(Exit.UNREAD)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise Failed(Exit.UNUSABLE, f"there is no room for what is written ({error.strerror})") from error


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "batchbandit serve",
        "batchbandit jobs show resnet-nightly",
        "batchbandit trials why resnet-nightly 42",
        has_codes=True,
    ),
)
@click.version_option(package_name="batchbandit-server")
def main() -> None:
    """Learn which batch size a recurring training job should use."""
