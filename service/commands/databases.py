"""The commands that look after a database; no service need run, save where one says so."""

from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
from msgspec import Struct

from core.finding import Finding
from service.commands.examples import examples
from service.commands.outcomes import Exit
from service.commands.printing import as_json, print_json
from service.logs import printable
from service.options import database_url, refusals_said
from service.store import adoption, checking, partitioning, tallies
from service.store.backup import back_up
from service.store.databases import run_beside
from service.store.partitioning import MOST_PARTITIONS


class Upgrade(Struct, frozen=True):
    """Whether there was anything to do, and the backup copy's file where one was made."""

    upgraded: bool
    backup: str | None


class Adoption(Struct, frozen=True):
    """The backup copy's file where one was made, and how many results could not be costed."""

    backup: str | None
    failed_trials: int


class Creation(Struct, frozen=True):
    """The partitions of each table."""

    partitions: int


class Backup(Struct, frozen=True):
    """The copy, and its size."""

    file: str
    bytes: int


class Check(Struct, frozen=True):
    """What was found, and how much was looked at."""

    findings: list[Finding]
    jobs: int
    trials: int
    arms: int


class Recount(Struct, frozen=True):
    """How many jobs were counted anew."""

    jobs: int


timezone_option = click.option(
    "--timezone",
    metavar="TZ",
    help="The time zone that the reference ran in, such as Europe/Berlin; else this machine's.",
)


@click.group(
    epilog=examples(
        "batchbandit db check",
        "batchbandit db upgrade --database-url postgresql+asyncpg://HOST/DATABASE",
        has_codes=True,
    )
)
def db() -> None:
    """Look after a database."""


@db.command(epilog=examples("batchbandit db upgrade"))
@as_json
@database_url
def upgrade(database_url: str, *, as_json: bool) -> None:
    """Bring a database of an older release to this one's revision; a SQLite file after a backup copy."""
    with refusals_said():
        upgraded = adoption.upgrade(database_url)
    backup = upgraded.backup if upgraded else None
    if as_json:
        print_json(Upgrade(upgraded is not None, named(backup)))
    elif upgraded is None:
        click.echo("Already at this release's revision.")
    else:
        click.echo(f"Upgraded.{backup_said(backup)}")


@db.command(
    epilog=examples(
        "batchbandit db adopt --database-url sqlite+aiosqlite:///zeus.db --timezone Europe/Berlin"
    )
)
@timezone_option
@as_json
@database_url
def adopt(timezone: str | None, database_url: str, *, as_json: bool) -> None:
    """Make a database of the reference server this service's own; a SQLite file after a backup copy."""
    zone = zone_of(timezone)
    with refusals_said():
        adopted = adoption.adopt(database_url, zone)
    if as_json:
        print_json(Adoption(named(adopted.backup), adopted.failed_trials))
        return
    click.echo(f"Adopted; {times_said(timezone)}.{backup_said(adopted.backup)}")
    if adopted.failed_trials:
        click.echo(failures_said(adopted.failed_trials))


@db.command(
    epilog=examples("batchbandit db create --partitions 16 --database-url postgresql+asyncpg://HOST/DATABASE")
)
@click.option(
    "--partitions",
    type=click.IntRange(1, MOST_PARTITIONS),
    required=True,
    help="Hash partitions of each table of jobs.",
)
@as_json
@database_url
def create(partitions: int, database_url: str, *, as_json: bool) -> None:
    """Set an empty Postgres database up with hash partitions by job; a plain one needs no command."""
    with refusals_said():
        partitioning.create(database_url, partitions)
    if as_json:
        print_json(Creation(partitions))
    else:
        click.echo(f"Created, with {partitions} partitions a table.")


@db.command(epilog=examples("batchbandit db backup /backups/batchbandit-$(date +%F).db"))
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@as_json
@database_url
def backup(target: Path, database_url: str, *, as_json: bool) -> None:
    """Copy a SQLite database, which may be served meanwhile, into a new file."""
    with refusals_said():
        size = back_up(database_url, target)
    if as_json:
        print_json(Backup(str(target), size))
    else:
        click.echo(f"{target}: {size:,} bytes, whole and checked.")


@db.command(epilog=examples("batchbandit db check", "batchbandit db check --json | jq '.findings[].what'"))
@as_json
@database_url
@click.pass_context
def check(context: click.Context, database_url: str, *, as_json: bool) -> None:
    """Say what is wrong with a database, which may be served meanwhile; exit with 1 where anything is."""
    findings: list[Finding] = []

    def say(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            click.echo(printable(str(finding)))

    with refusals_said():
        seen = checking.check(database_url, say)
    if as_json:
        print_json(Check(findings, seen.jobs, seen.trials, seen.arms))
    else:
        click.echo(f"{len(findings)} findings; {seen.jobs} jobs, {seen.trials} trials, {seen.arms} arms")
    context.exit(Exit.FOUND if findings else Exit.DONE)


@db.command(epilog=examples("batchbandit db recount"))
@as_json
@database_url
def recount(database_url: str, *, as_json: bool) -> None:
    """Count anew what every job has spent, from its trials; the database may be served meanwhile."""
    with refusals_said():
        jobs = run_beside(database_url, tallies.recount, must_exist=True)
    if as_json:
        print_json(Recount(jobs))
    else:
        click.echo(f"Counted {jobs} jobs anew.")


def named(file: Path | None) -> str | None:
    """Return the name of a file, where there is one."""
    return None if file is None else str(file)


def backup_said(backup: Path | None) -> str:
    """Return the end of a sentence that says where the backup is, where there is one."""
    return "" if backup is None else f" Backup: {backup}"


def times_said(timezone: str | None) -> str:
    """Return how local times were read."""
    zone = timezone or "this machine's time zone"
    return f"its times were read as those of {zone} and are UTC now"


def failures_said(trials: int) -> str:
    """Return what became of results that cannot be costed."""
    return (
        f"Trials that are Failed now, since their time, energy or cost is out of range: {trials}. "
        "Their arms were refitted without them."
    )


def zone_of(name: str | None) -> tzinfo | None:
    """Return a time zone by its name, None for this machine's.

    Raises:
        BadParameter: There is no such zone.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise click.BadParameter(
            f"there is no time zone {name!r}; write one like Europe/Berlin", param_hint="--timezone"
        ) from error
