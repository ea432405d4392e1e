"""Paths in which a job is named, whatever its name."""

from urllib.parse import unquote

from starlette.routing import Match, Route
from starlette.types import Scope


class JobRoute(Route):
    """A route that is looked for in the path as it was sent.

    A slash of a name, sent as ``%2F``, thus ends nothing: ``jobs/a%2Ftrials`` is the job ``a/trials``, and
    ``jobs/a/trials`` are the trials of ``a``. One that is sent as it is counts to the name where no call is
    meant otherwise.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether a request is for this route; give the parameters as they are meant."""
        if scope["type"] != "http":
            return Match.NONE, {}
        match, found = super().matches({**scope, "path": scope["raw_path"].decode("latin-1")})
        if match is not Match.NONE:
            found["path_params"] = {name: unquote(value) for name, value in found["path_params"].items()}
        return match, found
