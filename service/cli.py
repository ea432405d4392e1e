"""The command line: ``batchbandit``."""

from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from core.finding import Finding
from service.options import database_url, refusals_said
from service.serve_command import serve
from service.store import adoption, checking, partitioning
from service.store.backup import back_up
from service.store.partitioning import MOST_PARTITIONS
from service.token_commands import token


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="batchbandit-server")
def main() -> None:
    """Learn which batch size a recurring training job should use."""


main.add_command(serve)
main.add_command(token)


@main.group()
def db() -> None:
    """Look after a database."""


@db.command()
@database_url
def upgrade(database_url: str) -> None:
    """Bring a database of an older release to this one's revision; a SQLite file after a backup copy."""
    with refusals_said():
        upgraded = adoption.upgrade(database_url)
    if upgraded is None:
        click.echo("Already at this release's revision.")
    else:
        click.echo(f"Upgraded.{backup_said(upgraded.backup)}")


@db.command()
@click.option(
    "--timezone",
    metavar="TZ",
    help="The time zone that the reference ran in, such as Europe/Berlin; else this machine's.",
)
@database_url
def adopt(timezone: str | None, database_url: str) -> None:
    """Make a database of the reference server this service's own; a SQLite file after a backup copy."""
    with refusals_said():
        adopted = adoption.adopt(database_url, None if timezone is None else zone_of(timezone))
    zone = timezone or "this machine's time zone"
    click.echo(
        f"Adopted; its times were read as those of {zone} and are UTC now.{backup_said(adopted.backup)}"
    )
    if adopted.failed_trials:
        click.echo(
            f"Trials that are Failed now, since their time, energy or cost is out of range: "
            f"{adopted.failed_trials}. Their arms were refitted without them."
        )


@db.command()
@click.option(
    "--partitions",
    type=click.IntRange(1, MOST_PARTITIONS),
    required=True,
    help="Hash partitions of each table of jobs.",
)
@database_url
def create(partitions: int, database_url: str) -> None:
    """Set an empty Postgres database up with hash partitions by job; a plain one needs no command."""
    with refusals_said():
        partitioning.create(database_url, partitions)
    click.echo(f"Created, with {partitions} partitions a table.")


@db.command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@database_url
def backup(target: Path, database_url: str) -> None:
    """Copy a SQLite database, which may be served meanwhile, into a new file."""
    with refusals_said():
        size = back_up(database_url, target)
    click.echo(f"{target}: {size:,} bytes, whole and checked.")


@db.command()
@database_url
@click.pass_context
def check(context: click.Context, database_url: str) -> None:
    """Say what is wrong with a database, which may be served meanwhile; exit with 1 where anything is."""
    findings = 0

    def say(finding: Finding) -> None:
        nonlocal findings
        findings += 1
        click.echo(finding)

    with refusals_said():
        inspected = checking.check(database_url, say)
    click.echo(
        f"{findings} findings; {inspected.jobs} jobs, {inspected.trials} trials, {inspected.arms} arms"
    )
    context.exit(1 if findings else 0)


def backup_said(backup: Path | None) -> str:
    """Return the end of a sentence that says where the backup is, where there is one."""
    return "" if backup is None else f" Backup: {backup}"


def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name.

    Raises:
        BadParameter: There is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(
            f"there is no time zone {name!r}; write one like Europe/Berlin", param_hint="--timezone"
        ) from error
