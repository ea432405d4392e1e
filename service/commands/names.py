"""The name of a job as an argument, which a shell completes by asking the service."""

from shlex import quote

import click
from click.shell_completion import CompletionItem

from service.commands.calling import DEFAULT_URL, READING, Parameters, Service
from service.commands.outcomes import Failed
from service.views.shapes import JobsView

MOST_PROPOSED = 50
PATIENCE_SECONDS = 1.0
"""How long a shell waits for proposals."""


class JobName(click.ParamType[str]):
    """The ``job_id`` of a job."""

    name = "job"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name."""
        if not value or value != value.encode(errors="ignore").decode():  # bytes that are no UTF-8
            self.fail("that is no job's name; batchbandit jobs ls shows the names", param, ctx)
        return value

    def shell_complete(
        self,
        ctx: click.Context,
        param: click.Parameter,  # noqa: ARG002  (click's own face)
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the jobs whose names begin like this, none where the service does not say."""
        url = ctx.params.get("url") or DEFAULT_URL
        asked: Parameters = {"prefix": incomplete, "limit": MOST_PROPOSED}
        try:
            with Service(url, ctx.params.get("token"), PATIENCE_SECONDS) as service:
                found = service.ask(READING, "/api/v1/jobs", JobsView, asked).jobs
        except Failed:
            return []
        # What a shell would act upon cannot be proposed: it stands on the command line as it is.
        return [CompletionItem(job.job_id) for job in found if quote(job.job_id) == job.job_id]


job_argument = click.argument("job_id", metavar="JOB", type=JobName())
