"""A running service as the commands call it."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import version
from typing import Any, Concatenate, Protocol, Self, TypeVar
from urllib.parse import quote, urlsplit

import click
import httpx
import msgspec

from service.commands.outcomes import Exit, Failed
from service.commands.responses import refusal_of, unreachable

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0
"""Between two parts of an answer; a service that is overloaded says so after 15."""
LARGEST_PAGE = 500

READING = "GET"
# No proxy leads to this machine's own services.
_AT_HOME: Mapping[str, httpx.BaseTransport | None] = dict.fromkeys(
    ("all://localhost", "all://127.0.0.1", "all://[::1]")
)


class Page(Protocol):
    """A page of a list, and the cursor of the next one."""

    @property
    def next(self) -> str | None:
        """None where it is the last."""


PageT = TypeVar("PageT", bound=Page)

Parameters = Mapping[str, str | int | bool | None]


class Service:
    """A service at an address, which is shown without what is secret in it."""

    def __init__(self, url: str, token: str | None, seconds: float = ANSWER_SECONDS) -> None:
        self.address = address_of(url)
        if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise Failed(Exit.UNUSABLE, "--token is no token: it has other than visible ASCII characters")
        headers = {"User-Agent": f"batchbandit/{version('batchbandit-server')}"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            self._client = httpx.Client(
                base_url=url,
                headers=headers,
                timeout=httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
                mounts=_AT_HOME,
            )
        except (
            httpx.InvalidURL,
            ValueError,
            OSError,
        ) as error:  # the environment's proxies and certificates too
            raise Failed(Exit.UNUSABLE, f"{self.address} cannot be asked ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        parameters: Parameters | None = None,
        body: object = None,
    ) -> T:
        """Return what a call is answered.

        Raises:
            Failed: It is refused, or there is no answer, or not one of this release's.
        """
        with self.stream(method, path, parameters, body) as answer, self._explained(method):
            content = answer.read()
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.DecodeError as error:
            sentence = f"{self.address} answers as no service of this release does ({error})"
            raise Failed(Exit.UNUSABLE, sentence) from error

    @contextmanager
    def stream(
        self, method: str, path: str, parameters: Parameters | None = None, body: object = None
    ) -> Iterator[httpx.Response]:
        """Yield a success whose body has not been read.

        Raises:
            Failed: It is refused, or there is no answer.
        """
        with self._explained(method):
            request = self._client.build_request(
                method,
                path,
                params=_said(parameters or {}),
                content=None if body is None else msgspec.json.encode(body),
                headers=None if body is None else {"Content-Type": "application/json"},
            )
            answer = self._client.send(request, stream=True)
        try:
            if not answer.is_success:
                with self._explained(method):
                    answer.read()
                raise refusal_of(answer, self.address)
            yield answer
        finally:
            answer.close()

    def parts(self, answer: httpx.Response) -> Iterator[bytes]:
        """Go through the body of an answer as it comes.

        Raises:
            Failed: It is broken off.
        """
        with self._explained(READING):
            yield from answer.iter_bytes()

    def pages(
        self, path: str, kind: type[PageT], parameters: Parameters, limit: int | None
    ) -> Iterator[PageT]:
        """Go through a list page by page, up to so many entries, None for all of them."""
        cursor: str | None = None
        while limit is None or limit > 0:
            size = LARGEST_PAGE if limit is None else min(limit, LARGEST_PAGE)
            page = self.ask(READING, path, kind, {**parameters, "limit": size, "cursor": cursor})
            yield page
            cursor = page.next
            if cursor is None:
                return
            limit = None if limit is None else limit - size

    @contextmanager
    def _explained(self, method: str) -> Iterator[None]:
        try:
            yield
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise Failed(Exit.UNUSABLE, f"{self.address} cannot be asked ({error})") from error
        except httpx.HTTPError as error:
            raise unreachable(error, self.address, is_change=method != READING) from error


def address_of(url: str) -> str:
    """Return a service's URL without a user and a password.

    Raises:
        Failed: It is none.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        is_one = False
    if not is_one:
        raise Failed(Exit.UNUSABLE, "--url is no address of a service; write http://HOST:8000")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _said(parameters: Parameters) -> dict[str, str]:
    """Return the parameters that say something, as a query has them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in parameters.items()
        if value is not None
    }


def job_path(job_id: str, *rest: str) -> str:
    """Return the path of a job, and of what belongs to it."""
    # A name may be a dot or two, which in a path would mean something.
    return "/".join(["/api/v1/jobs", quote(job_id, safe="").replace(".", "%2E"), *rest])


def calls_service(command: Callable[Concatenate[Service, ...], T]) -> Callable[..., T]:
    """Let a command name a service, with which it is called."""

    @click.option(
        "--url",
        envvar="BATCHBANDIT_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help="The service's address.",
    )
    @click.option(
        "--token",
        envvar="BATCHBANDIT_TOKEN",
        show_envvar=True,
        help="The token that lets one in, where the service wants one.",
    )
    @wraps(command)
    def with_service(*, url: str, token: str | None, **rest: Any) -> T:  # noqa: ANN401  (the command's own)
        with Service(url, token or None) as service:
            return command(service, **rest)

    return with_service
