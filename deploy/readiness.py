# ruff: noqa: INP001  (a script of the image, and of no package)
"""The container's health check: exits with 0 where the service of this container can serve requests."""

import http.client
import os
import ssl
import sys

TIMEOUT_SECONDS = 4


def main() -> int:
    """Ask ``/readyz`` over loopback, with TLS where the service speaks it; return the exit code."""
    port = int(os.environ.get("BATCHBANDIT_PORT", "8000"))
    connection = connection_to(port, speaks_tls="BATCHBANDIT_TLS_CERTIFICATE" in os.environ)
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"no answer on port {port}: {error}\n")
        return 1
    sys.stderr.write(f"/readyz answers {status}\n")
    return 0 if status == http.HTTPStatus.OK else 1


def connection_to(port: int, *, speaks_tls: bool) -> http.client.HTTPConnection:
    """Return a connection to the service, which is not yet made."""
    if not speaks_tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    # The certificate is of the service's name, never of this address; nothing secret is said here.
    context = ssl._create_unverified_context()  # noqa: S323, SLF001
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=context)


if __name__ == "__main__":
    sys.exit(main())
