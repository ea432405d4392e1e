"""Pages: a template and what is in it, with the headers that keep a browser to what the page says."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from core.records import Stage
from service.clock import utc_now
from service.credentials import Role
from service.dashboard.assets import Assets
from service.store.happening import Kind
from service.views import figures
from service.web.access import ANYBODY, Caller

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

RESERVED = "!#$%&'()*+,/:;=?@[]"
"""What stays as it is in an address (RFC 3986, section 2), besides letters, digits and ``-._~``."""

STAGES = {Stage.PRUNING: "Pruning", Stage.MAB: "Bandit"}
"""The stages as people call them."""


class Page(Response):
    """A page that nobody keeps.

    A form that a page sends has to say whose it is: with no referrer at all its ``Origin`` would be null.
    """

    media_type = "text/html"

    def __init__(self, text: str, status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        own = {
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
        }
        super().__init__(text, status_code=status, headers=own | dict(headers or {}))


def redirect(address: str) -> Page:
    """Return what leads on to another page of the service's; what no header may hold is percent-encoded."""
    return Page("", HTTPStatus.SEE_OTHER, {"Location": quote(address, safe=RESERVED)})


class Visitor:
    """Who looks at a page, as templates ask."""

    def __init__(self, caller: Caller) -> None:
        self.role = caller.role
        self.job_id_prefix = caller.job_id_prefix
        self.is_signed_in = caller is not ANYBODY
        self.may_operate = caller.role.includes(Role.OPERATOR)


class Dashboard:
    """The templates and the static files, read once."""

    def __init__(self) -> None:
        self.assets = Assets()
        self.templates = environment(self.assets)


def page(
    request: Request,
    template: str,
    *,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **context: Any,  # noqa: ANN401  (what the template names)
) -> Page:
    """Return a page of the service's dashboard.

    Args:
        request: What it answers; its ``user`` is who looks at it, nobody where there is none.
        template: The name of the template's file.
        status: Of the answer.
        headers: More headers of the answer.
        context: What is in the template.
    """
    dashboard: Dashboard = request.app.state.dashboard
    caller = request.scope.get("user")
    text = dashboard.templates.get_template(template).render(
        path=request.url.path, visitor=Visitor(caller) if caller else None, now=utc_now(), **context
    )
    return Page(text, status, headers)


def environment(assets: Assets) -> Environment:
    """Return the templates, with the figures in words as filters."""
    made = Environment(
        loader=PackageLoader("service.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {
        "asset": assets.address,
        "address": address,
        "icon": icon,
        "job_address": job_address,
        "kinds": " ".join(Kind),
        "stages": STAGES,
        "trial_address": trial_address,
    }
    made.filters |= {
        "ago": ago,
        "count": figures.count,
        "joules": figures.joules,
        "moment": figures.moment,
        "percent": figures.percent,
        "seconds": figures.seconds,
    }
    return made


def address(path: str, query: Mapping[str, object]) -> str:
    """Return the address of a page, without what is empty in its query."""
    asked = urlencode({name: value for name, value in query.items() if value not in (None, "")})
    return f"{path}?{asked}" if asked else path


def job_address(job_id: str) -> str:
    """Return the address of a job's page."""
    return address("/job", {"id": job_id})


def trial_address(job_id: str, trial_number: int) -> str:
    """Return the address of a trial's page."""
    return address("/trial", {"id": job_id, "number": trial_number})


def ago(time: datetime | None, now: datetime) -> Markup:
    """Return how long ago a time was, with the time itself for who wants to know."""
    if time is None:
        return Markup('<span class="muted">never</span>')
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        time.isoformat(timespec="seconds"), f"{figures.moment(time)} UTC", figures.ago(time, now)
    )


ICONS = {
    "failing": "M12 3 22 20H2ZM12 10v4M12 17v.5",
    "idle": "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z",
    "paused": "M8 5v14M16 5v14",
    "running": "M7 4l12 8-12 8Z",
    "stuck": "M5 12h14M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Z",
    "good": "M4 12l5 6L20 6",
    "bad": "M5 5l14 14M19 5 5 19",
}
"""Paths of 24 by 24."""


def icon(name: str) -> Markup:
    """Return an icon, which stands beside words that say the same."""
    return Markup('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>').format(
        ICONS[name]
    )
