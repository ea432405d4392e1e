"""How a command ends whose call was answered with no success, or with nothing."""

from http import HTTPStatus

import httpx
import msgspec

from service.commands.outcomes import Exit, Failed
from service.errors import JobNotFound, TrialNotFound, UnknownHost
from service.web.wire import ProblemBody

URN = "urn:batchbandit:problem:"


def refusal_of(answer: httpx.Response, address: str) -> Failed:
    """Return how a command ends whose call was answered with anything but a success."""
    try:
        problem = msgspec.json.decode(answer.content, type=ProblemBody)
    except msgspec.DecodeError:
        return _of_status(answer.status_code, address)
    kind = problem.type.removeprefix(URN)
    status = answer.status_code
    is_path_unknown = status == HTTPStatus.NOT_FOUND and kind not in {
        JobNotFound.problem,
        TrialNotFound.problem,
    }
    if is_path_unknown or status == HTTPStatus.METHOD_NOT_ALLOWED:
        return Failed(Exit.UNUSABLE, f"{address} lacks this call: its release is an older one; upgrade it")
    if kind == UnknownHost.problem:
        return Failed(Exit.UNUSABLE, problem.message)
    if status == HTTPStatus.UNAUTHORIZED:
        return Failed(Exit.NOT_ALLOWED, f"{problem.message} Here: with --token, or BATCHBANDIT_TOKEN.")
    return Failed(_code_of(status), problem.message)


def _of_status(status: int, address: str) -> Failed:
    """Return how a command ends that was not answered by a service itself, but perhaps by a proxy."""
    sentence = f"{address} answers {status}"
    code = _code_of(status)
    if code is Exit.UNAVAILABLE:
        return Failed(code, f"{sentence}: the service cannot be reached, or cannot answer now; try again")
    if code is Exit.NOT_ALLOWED:
        return Failed(code, f"{sentence}: something before the service lets nobody through like this")
    return Failed(Exit.UNUSABLE, f"{sentence}, and not as a batchbandit service does; name one with --url")


def _code_of(status: int) -> Exit:
    match status:
        case HTTPStatus.NOT_FOUND:
            return Exit.NOT_FOUND
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Exit.NOT_ALLOWED
        case HTTPStatus.NOT_IMPLEMENTED:
            return Exit.REFUSED
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_MANY_REQUESTS:
            return Exit.UNAVAILABLE
    return Exit.UNAVAILABLE if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Exit.REFUSED


def unreachable(error: httpx.HTTPError, address: str, *, is_change: bool) -> Failed:
    """Return how a command ends that got no whole answer."""
    reason = str(error) or type(error).__name__
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return Failed(Exit.UNUSABLE, f"{address} cannot be asked ({reason}); write http://HOST:PORT")
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        advice = "name the certificates to trust in the variable SSL_CERT_FILE"
        return Failed(Exit.UNAVAILABLE, f"{address} has a certificate that is not trusted; {advice}")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        advice = "see that it runs (batchbandit serve), or name another with --url"
        return Failed(Exit.UNAVAILABLE, f"no service answers at {address} ({reason}); {advice}")
    advice = "it may have been done: look with batchbandit jobs show" if is_change else "try again"
    what = "took too long to answer" if isinstance(error, httpx.TimeoutException) else "broke its answer off"
    return Failed(Exit.UNAVAILABLE, f"the service at {address} {what} ({reason}); {advice}")
