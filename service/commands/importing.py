"""The command that brings the jobs of a reference server along."""

import click

from service.commands.databases import failures_said, times_said, timezone_option, zone_of
from service.commands.examples import examples
from service.commands.printing import as_json, print_json, progress
from service.logs import printable
from service.options import database_url, refusals_said
from service.store.importing import import_reference, size_of


@click.command(
    "import-zeus",
    epilog=examples(
        "batchbandit import-zeus zeus.db --timezone Europe/Berlin",
        "batchbandit import-zeus postgresql://zeus:secret@HOST/zeus --skip-existing",
        has_codes=True,
    ),
)
@click.argument("source")
@timezone_option
@click.option(
    "--skip-existing", is_flag=True, help="Leave out jobs whose names are taken, else all is refused."
)
@as_json
@database_url
def import_zeus(
    source: str, timezone: str | None, database_url: str, *, skip_existing: bool, as_json: bool
) -> None:
    """Copy the jobs of a Zeus Batch Size Optimizer server into a database that may be served meanwhile.

    SOURCE is its SQLite file, or the URL of its Postgres database; it is only read. All jobs come, or none.
    """
    zone = zone_of(timezone)
    with refusals_said(), progress("Importing", 2 * size_of(source)) as advance:
        imported = import_reference(source, database_url, zone, advance, skip_existing=skip_existing)
    if as_json:
        print_json(imported)
        return
    click.echo(
        f"Imported {len(imported.jobs)} jobs with {imported.num_trials} trials; {times_said(timezone)}."
    )
    if imported.skipped:
        click.echo(printable(f"Left out, since their names are taken: {', '.join(imported.skipped)}."))
    if imported.failed_trials:
        click.echo(failures_said(imported.failed_trials))
