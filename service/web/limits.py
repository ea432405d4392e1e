"""How much clients may take up."""

from msgspec import Struct

HEAD_LIMIT = 1 << 16
"""Bytes of a request line with its headers."""
BODY_LIMIT = 1 << 20
"""Bytes of a body."""
FRAMED_LIMIT = 8 * BODY_LIMIT
"""Bytes of a body as it is sent, its chunks' frames and trailers included."""
MOST_PIPELINED = 8
"""Requests that a client may send ahead while one is answered."""
BODIES_LIMIT = 64 * BODY_LIMIT
"""Bytes of the bodies of all requests that have not been answered."""
PARTING_SECONDS = 5.0
"""How long what a client goes on sending is dropped, so that it reads the last answer and not of a reset."""
LAST_PARTING_SECONDS = 1.0
"""The same while the service stops; where TLS is spoken, for the client to say that it has seen the end."""

LAST_READING_SECONDS = 5.0
"""How long, while the service stops, a client may take to take its last answer."""


class Limits(Struct, frozen=True):
    """What the clients of a process may take up.

    ``connection_limit`` may be open. A client may take ``client_seconds`` for a head, counted from its first
    byte or from the connection, as many for a body and for an answer, and may be silent between two requests
    for ``keep_alive_seconds``.
    """

    connection_limit: int = 5000
    client_seconds: float = 20.0
    keep_alive_seconds: float = 75.0
