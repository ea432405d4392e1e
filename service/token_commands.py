"""The commands that make, list and revoke tokens; no service need run, and one that runs notices."""

import click
from sqlalchemy import Connection

from service.clock import utc_now
from service.credentials import CONFINABLE, Role, Token
from service.options import Refused, database_url, refusals_said
from service.store import audit, tokens
from service.store.audit import COMMAND_LINE, Action, Event
from service.store.databases import run_beside

LONGEST_PREFIX = 300


@click.group()
def token() -> None:
    """Say who may call the service."""


@token.command()
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), required=True, help="What it may do."
)
@click.option("--prefix", default="", help="For a trainer or a reader: the beginning of the jobs it reaches.")
@database_url
def create(role: str, prefix: str, database_url: str) -> None:
    """Make a token and print it: it is shown this once."""
    if prefix and role not in CONFINABLE:
        raise click.BadParameter(f"a token of the role {role} reaches all jobs", param_hint="--prefix")
    if len(prefix) > LONGEST_PREFIX or "\0" in prefix or not prefix.isprintable():
        raise click.BadParameter(
            f"write at most {LONGEST_PREFIX} printable characters", param_hint="--prefix"
        )
    now = utc_now()
    made, text = Token.make(Role(role), prefix, now)

    def keep(connection: Connection) -> None:
        tokens.insert(connection, made)
        audit.record(connection, [Event(now, COMMAND_LINE, Action.CREATE_TOKEN, made.token_id)])

    with refusals_said():
        run_beside(database_url, keep)
    click.echo(text)
    click.echo(f"Token {made.token_id} is made; it is not shown again.", err=True)


@token.command("list")
@database_url
def list_tokens(database_url: str) -> None:
    """List the tokens, revoked ones too; times are UTC."""
    with refusals_said():
        found = run_beside(database_url, tokens.every, must_exist=True)
    rows: list[tuple[str, ...]] = [("ID", "ROLE", "PREFIX", "CREATED", "LAST USED", "REVOKED")]
    for each in found:
        times = (each.created_timestamp, each.last_used_timestamp, each.revoked_timestamp)
        shown = (time.strftime("%Y-%m-%d %H:%M:%S") if time else "-" for time in times)
        rows.append((each.token_id, each.role.value, each.job_id_prefix or "-", *shown))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@token.command()
@click.argument("token_id", metavar="ID")
@database_url
def revoke(token_id: str, database_url: str) -> None:
    """Revoke the token of an ID: within a second no service accepts it any more."""
    now = utc_now()

    def take_away(connection: Connection) -> bool:
        is_revoked = tokens.revoke(connection, token_id, now)
        if is_revoked:
            audit.record(connection, [Event(now, COMMAND_LINE, Action.REVOKE_TOKEN, token_id)])
        return is_revoked

    with refusals_said():
        if not run_beside(database_url, take_away, must_exist=True):
            raise Refused(f"no token in force has the ID {token_id}; batchbandit token list shows them")
    click.echo(f"Token {token_id} is revoked.", err=True)
