"""The command line: ``batchbandit``."""

from importlib import import_module

import click

from service.commands.examples import examples

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
        command: click.Command = getattr(import_module(module), name)
        return command


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
