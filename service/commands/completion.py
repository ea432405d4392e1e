"""The command that prints what a shell needs to complete commands, options and names of jobs."""

import click
from click.shell_completion import get_completion_class

from service.commands.examples import examples

PROGRAM = "batchbandit"
VARIABLE = "_BATCHBANDIT_COMPLETE"


@click.command(
    epilog=examples(
        'eval "$(batchbandit completion bash)"   # in ~/.bashrc',
        'eval "$(batchbandit completion zsh)"    # in ~/.zshrc',
        "batchbandit completion fish > ~/.config/fish/completions/batchbandit.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes this program's commands in a shell."""
    kind = get_completion_class(shell)
    if kind is None:  # click may have been told to forget a shell
        raise click.UsageError(f"{shell} is not known")
    click.echo(kind(context.find_root().command, {}, PROGRAM, VARIABLE).source())
