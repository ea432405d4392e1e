"""The command that runs the service: its options, and what must be so before it listens."""

import asyncio
import logging
import os
import socket

import click
import msgspec

from service import serving
from service.commands.examples import examples
from service.exposure import Exposure, exposure_of
from service.logs import Format, Level, Logs
from service.options import HostName, Refused, database_url, refusals_said
from service.serving import Settings
from service.store import tokens
from service.store.databases import ensure_shareable, open_database, run_beside
from service.tls import Certificate
from service.web.limits import Limits
from service.workers import Workers

log = logging.getLogger("batchbandit.serving")


@click.command(
    epilog=examples(
        "batchbandit serve",
        "batchbandit serve --host 0.0.0.0 --tls-certificate chain.pem --tls-key key.pem",
        "batchbandit serve --workers 4 --database-url postgresql+asyncpg://HOST/DATABASE",
        has_codes=True,
    )
)
@click.option(
    "--host",
    envvar="BATCHBANDIT_HOST",
    default="127.0.0.1",
    show_default=True,
    show_envvar=True,
    help="The address to listen on.",
)
@click.option(
    "--port",
    envvar="BATCHBANDIT_PORT",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    show_envvar=True,
    help="The port to listen on; 0 takes a free one.",
)
@click.option(
    "--queue-limit",
    envvar="BATCHBANDIT_QUEUE_LIMIT",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    show_envvar=True,
    help="Requests that may wait for the database; one more is answered 503.",
)
@click.option(
    "--workers",
    envvar="BATCHBANDIT_WORKERS",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    show_envvar=True,
    help="Processes that serve together; more than one needs Postgres.",
)
@click.option(
    "--drain-seconds",
    envvar="BATCHBANDIT_DRAIN_SECONDS",
    type=click.FloatRange(0, 3600),
    default=0.0,
    show_default=True,
    show_envvar=True,
    help="How long to go on serving after SIGTERM while /readyz answers 503.",
)
@click.option(
    "--key-seconds",
    envvar="BATCHBANDIT_KEY_SECONDS",
    type=click.FloatRange(1, 366 * 86400),
    default=86400.0,
    show_default=True,
    show_envvar=True,
    help="How long the first answer to a call with an Idempotency-Key is kept.",
)
@click.option(
    "--event-seconds",
    envvar="BATCHBANDIT_EVENT_SECONDS",
    type=click.FloatRange(1, 366 * 86400),
    default=86400.0,
    show_default=True,
    show_envvar=True,
    help="How long it is kept what has happened, for listeners that come again.",
)
@click.option(
    "--connection-limit",
    envvar="BATCHBANDIT_CONNECTION_LIMIT",
    type=click.IntRange(min=1),
    default=5000,
    show_default=True,
    show_envvar=True,
    help="Connections a worker; one more takes the place of the one that has waited longest for its client.",
)
@click.option(
    "--client-seconds",
    envvar="BATCHBANDIT_CLIENT_SECONDS",
    type=click.FloatRange(0, 3600, min_open=True),
    default=20.0,
    show_default=True,
    show_envvar=True,
    help="How long a client may take to send a head, to send a body, and to take an answer.",
)
@click.option(
    "--keep-alive-seconds",
    envvar="BATCHBANDIT_KEEP_ALIVE_SECONDS",
    type=click.FloatRange(0, 86400),
    default=75.0,
    show_default=True,
    show_envvar=True,
    help="How long a connection may be idle between two requests.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    type=HostName(),
    multiple=True,
    envvar="BATCHBANDIT_ALLOWED_HOSTS",
    show_envvar=True,
    help="A name that the service goes by; can be repeated.",
)
@click.option(
    "--insecure",
    is_flag=True,
    envvar="BATCHBANDIT_INSECURE",
    show_envvar=True,
    help="Let everybody in who reaches the address, as long as there is no token.",
)
@click.option(
    "--tls-certificate",
    metavar="FILE",
    envvar="BATCHBANDIT_TLS_CERTIFICATE",
    show_envvar=True,
    help="The certificate to speak TLS with, in PEM.",
)
@click.option(
    "--tls-key",
    metavar="FILE",
    envvar="BATCHBANDIT_TLS_KEY",
    show_envvar=True,
    help="The certificate's private key, in PEM.",
)
@click.option(
    "--log-format",
    envvar="BATCHBANDIT_LOG_FORMAT",
    type=click.Choice(Format, case_sensitive=False),
    default=Format.CONSOLE,
    show_default=True,
    show_envvar=True,
    help="How an entry of the log is written: for people, or as a line of JSON.",
)
@click.option(
    "--log-level",
    envvar="BATCHBANDIT_LOG_LEVEL",
    type=click.Choice(Level, case_sensitive=False),
    default=Level.INFO,
    show_default=True,
    show_envvar=True,
    help="The least that is logged.",
)
@database_url
def serve(  # noqa: PLR0913  (the options of the command)
    *,
    host: str,
    port: int,
    queue_limit: int,
    workers: int,
    drain_seconds: float,
    key_seconds: float,
    event_seconds: float,
    allowed_hosts: tuple[str, ...],
    insecure: bool,
    tls_certificate: str | None,
    tls_key: str | None,
    log_format: Format,
    log_level: Level,
    database_url: str,
    **limits: float,
) -> None:
    """Run the service until SIGTERM or SIGINT."""
    logs = Logs(log_format, log_level)
    logs.begin()
    certificate = certificate_of(tls_certificate, tls_key)
    with listening(host, port) as listener:
        exposure = exposure_of(listener, allowed_hosts, is_insecure=insecure)
        with refusals_said():
            if workers > 1:
                ensure_shareable(database_url)
            ensure_guarded(exposure, host, database_url)
            database = open_database(database_url)
        settings = Settings(
            database_url,
            queue_limit,
            drain_seconds,
            key_seconds,
            event_seconds,
            exposure,
            certificate,
            msgspec.convert(limits, Limits),
            logs,
        )
        said = f"batchbandit serves {database.name} on {url_of(listener, 'https' if certificate else 'http')}"
        if workers == 1:
            log.info("%s", said)
            serving.serve(database, listener, settings)
            return
        asyncio.run(database.close())  # each worker opens it for itself
        log.info("%s with %d workers", said, workers)
        Workers(workers, listener, settings).run()


def certificate_of(file: str | None, key_file: str | None) -> Certificate | None:
    """Return the certificate that two options name, None where they name none.

    Raises:
        UsageError: Only one of them is given.
        Refused: It cannot be used.
    """
    if file is None and key_file is None:
        return None
    if file is None or key_file is None:
        raise click.UsageError("--tls-certificate and --tls-key go together; give both or neither")
    certificate = Certificate(file, key_file)
    with refusals_said():
        certificate.context()  # the workers make their own
    return certificate


def ensure_guarded(exposure: Exposure, host: str, database_url: str) -> None:
    """See that a service which others reach asks them for a token, and that somebody has one.

    Raises:
        OpeningError: The database cannot be read.
        Refused: Nobody has a token.
    """
    if not exposure.may_be_open and not run_beside(database_url, tokens.issued).active:
        raise Refused(
            f"others can reach {host}, and there is no token to tell them apart; make one with batchbandit "
            "token create --role admin, or let everybody in with --insecure"
        )


def url_of(listener: socket.socket, scheme: str) -> str:
    """Return where a socket listens."""
    host, port = listener.getsockname()[:2]
    return (
        f"{scheme}://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"{scheme}://{host}:{port}"
    )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        Refused: The address cannot be had.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise Refused(f"there is no address {host!r} to listen on ({error}); use another --host") from error
    family, _, _, _, address = found[0]
    try:
        return socket.create_server(address, family=family)
    except OSError as error:
        raise Refused(
            f"cannot listen on {host}, port {port} ({os.strerror(error.errno or 0)}); "
            "stop what listens there, or use another --host or --port"
        ) from error
