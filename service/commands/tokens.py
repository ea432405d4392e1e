"""The commands that make, list and revoke tokens; no service need run, and one that runs notices."""

from datetime import datetime

import click
from msgspec import Struct
from sqlalchemy import Connection

from service.clock import utc_now
from service.commands.examples import examples
from service.commands.outcomes import Exit, Failed
from service.commands.printing import Listing, as_json, print_json, show
from service.credentials import CONFINABLE, Role, Token
from service.logs import printable
from service.options import database_url, refusals_said
from service.store import audit, tokens
from service.store.audit import COMMAND_LINE, Action, Event
from service.store.databases import run_beside
from service.views.figures import NONE, moment

LONGEST_PREFIX = 300


class Made(Struct, frozen=True):
    """A token that was made; its text is shown this once."""

    token_id: str
    token: str
    role: Role
    job_id_prefix: str


class Listed(Struct, frozen=True):
    """A token without what is secret; times are UTC."""

    token_id: str
    role: Role
    job_id_prefix: str
    created_timestamp: datetime
    last_used_timestamp: datetime | None
    revoked_timestamp: datetime | None

    @classmethod
    def of(cls, token: Token) -> "Listed":
        """Return what may be shown of a token."""
        return cls(*(getattr(token, name) for name in cls.__struct_fields__))


class Revoked(Struct, frozen=True):
    """A token that is not accepted any more."""

    token_id: str


@click.group(
    epilog=examples(
        "batchbandit token create --role trainer --prefix resnet", "batchbandit token list", has_codes=True
    )
)
def token() -> None:
    """Say who may call the service."""


@token.command(
    epilog=examples(
        "batchbandit token create --role operator",
        "BATCHBANDIT_TOKEN=$(batchbandit token create --role reader)",
    )
)
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), required=True, help="What it may do."
)
@click.option("--prefix", default="", help="For a trainer or a reader: the beginning of the jobs it reaches.")
@as_json
@database_url
def create(role: str, prefix: str, database_url: str, *, as_json: bool) -> None:
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
    if as_json:
        print_json(Made(made.token_id, text, made.role, made.job_id_prefix))
    else:
        click.echo(text)
    click.echo(f"Token {made.token_id} is made; it is not shown again.", err=True)


@token.command("list", epilog=examples("batchbandit token list --json | jq -r .token_id"))
@as_json
@database_url
def list_tokens(database_url: str, *, as_json: bool) -> None:
    """List the tokens, revoked ones too; times are UTC."""
    with refusals_said():
        found = run_beside(database_url, tokens.every, must_exist=True)
    headings = ("id", "role", "prefix", "created", "last used", "revoked")
    listed = Listing(*headings, names=("id", "prefix"), spare=("created", "last used"))
    for each in map(Listed.of, found):
        if as_json:
            print_json(each)
            continue
        times = (each.created_timestamp, each.last_used_timestamp, each.revoked_timestamp)
        prefix = printable(each.job_id_prefix) or NONE
        style = "dim" if each.revoked_timestamp else ""
        listed.add_row(each.token_id, each.role.value, prefix, *map(moment, times), style=style)
    if not as_json:
        show(listed)


@token.command(epilog=examples("batchbandit token revoke 3f0c4e9a1b2d"))
@click.argument("token_id", metavar="ID")
@as_json
@database_url
def revoke(token_id: str, database_url: str, *, as_json: bool) -> None:
    """Revoke the token of an ID: within a second no service accepts it any more."""
    now = utc_now()

    def take_away(connection: Connection) -> bool:
        is_revoked = tokens.revoke(connection, token_id, now)
        if is_revoked:
            audit.record(connection, [Event(now, COMMAND_LINE, Action.REVOKE_TOKEN, token_id)])
        return is_revoked

    with refusals_said():
        is_revoked = run_beside(database_url, take_away, must_exist=True)
    if not is_revoked:
        advice = "batchbandit token list shows them"
        raise Failed(Exit.NOT_FOUND, f"no token in force has the ID {token_id}; {advice}")
    if as_json:
        print_json(Revoked(token_id))
    else:
        click.echo(f"Token {token_id} is revoked.", err=True)
