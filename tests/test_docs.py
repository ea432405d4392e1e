"""What the documentation lists is what there is."""

import itertools
import re
from typing import NamedTuple

import click
import pytest
from prometheus_client import REGISTRY

import batchbandit
from batchbandit.commands import main as client_main
from service.cli import main
from service.engine.census import Census
from service.errors import JobIdTaken, ServiceError
from service.web.routes import Resource, routes
from service.web.wire import BeginBody, EndBody, JobBody, ReportBody
from tests.conftest import ROOT
from tests.docs.blocks import PAGES

README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
CLIENT = (ROOT / "docs" / "client.md").read_text()


def commands(group: click.Group, name: str = "batchbandit") -> dict[str, click.Command]:
    """Return every command below a group by its whole name."""
    found: dict[str, click.Command] = {}
    context = click.Context(group, help_option_names=["-h", "--help"])
    for part in group.list_commands(context):
        command = group.get_command(context, part)
        assert command is not None
        whole = f"{name} {part}"
        found |= commands(command, whole) if isinstance(command, click.Group) else {whole: command}
    return found


def cells(column: int, document: str = REFERENCE) -> set[str]:
    """Return what stands in backquotes at the start of a column of a document's tables."""
    rows = (line.split("|") for line in document.splitlines() if line.startswith("| `"))
    return {match[1] for row in rows if (match := re.match(r" `([^`]+)`", row[column]))}


def test_every_command_is_documented_and_no_other() -> None:
    assert {cell for cell in cells(1) if cell.startswith("batchbandit ")} == set(commands(main))


class Row(NamedTuple):
    """A row of the table of options: of which commands it is, or of all but which, and what it says."""

    names: frozenset[str]
    commands: tuple[str, ...]
    is_of_all: bool
    text: str

    def is_of(self, command: str) -> bool:
        """Tell whether it is about a command."""
        return any(is_or_is_in(command, name) for name in self.commands) is not self.is_of_all


def is_or_is_in(command: str, name: str) -> bool:
    """Tell whether a command has a name, or is in the group of that name."""
    return f"{command} ".startswith(f"{name} ")


def rows_of_options() -> list[Row]:
    """Return the rows of the table of options and arguments."""
    table = REFERENCE.split("| option |")[1].split("\n\n")[0].splitlines()[2:]
    rows = [(line, line.split("|")) for line in table]
    return [
        Row(
            frozenset(re.findall(r"`([^`]+)`", cells[1])),
            tuple(re.findall(r"`([^`]+)`", cells[4])),
            cells[4].startswith(" all "),
            line,
        )
        for line, cells in rows
    ]


def names_of(parameter: click.Parameter) -> set[str]:
    """Return what a parameter is called in the documentation, which names one of them or all."""
    if isinstance(parameter, click.Argument):
        metavar = parameter.make_metavar(click.Context(click.Command("any")))
        return {(parameter.name or "").upper() if "|" in metavar else metavar.strip("[].")}
    return {name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--")}


PARAMETERS = [
    (name.removeprefix("batchbandit "), parameter)
    for name, command in commands(main).items()
    for parameter in command.params
]


@pytest.mark.parametrize(("command", "parameter"), PARAMETERS, ids=lambda each: getattr(each, "name", each))
def test_every_option_is_documented_with_its_environment_and_default(
    command: str, parameter: click.Parameter
) -> None:
    rows = [row for row in rows_of_options() if row.names & names_of(parameter) and row.is_of(command)]
    assert len(rows) == 1, [row.text for row in rows]
    assert parameter.envvar is None or f"`{parameter.envvar}`" in rows[0].text
    if isinstance(parameter.default, str | int) and parameter.default not in {"", False}:
        assert f"`{parameter.default}`" in rows[0].text


def test_no_option_is_documented_that_there_is_not() -> None:
    there = {(command, name) for command, parameter in PARAMETERS for name in names_of(parameter)}
    whole = {command for command, _ in PARAMETERS}
    for row in rows_of_options():
        named = {name for name in row.names if not re.fullmatch("-[a-z]", name)}
        meant = {command for command in whole if row.is_of(command)}
        assert all(any(is_or_is_in(command, name) for command in whole) for name in row.commands), row.text
        assert {(command, name) for command in meant for name in named} <= there, row.text


def test_every_call_is_documented_and_no_other() -> None:
    served = {
        f"{method} {route.path_format}"
        for route in routes
        if isinstance(route.endpoint, Resource)
        for method in route.endpoint.methods
        if method != "HEAD"
    }
    assert {cell for cell in cells(1) if re.match("[A-Z]+ /", cell)} == served


def refusals(base: type[ServiceError]) -> set[str]:
    """Return the problems of all refusals below one that a client can meet."""
    below = {kind for child in base.__subclasses__() for kind in refusals(child)}
    return below | ({base.problem} - {ServiceError.problem, JobIdTaken.problem})


def test_every_problem_is_documented_and_no_other() -> None:
    listed = REFERENCE.split("| problem |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` ", listed, re.MULTILINE)) == refusals(ServiceError)


@pytest.mark.parametrize("body", [JobBody, ReportBody, BeginBody, EndBody])
def test_every_member_is_documented(body: type[JobBody | ReportBody | BeginBody | EndBody]) -> None:
    assert [name for name in body.__struct_fields__ if f"`{name}`" not in REFERENCE] == []


def metrics_given() -> set[str]:
    """Return the names of the service's metrics."""
    census = Census(None)  # type: ignore[arg-type]  # which is not asked
    given = {metric.name for metric in itertools.chain(REGISTRY.collect(), census.collect())}
    return {name for name in given if name.startswith("batchbandit")}


def test_every_metric_is_documented_and_no_other() -> None:
    counted = {name.removesuffix("_total") for name in cells(1) if name.startswith("batchbandit_")}
    assert counted == metrics_given()


def test_every_variable_that_the_client_reads_is_documented_and_no_other() -> None:
    sources = (ROOT / "client" / "src").rglob("*.py")
    read = {name for path in sources for name in re.findall(r'"(BATCHBANDIT_\w+)"', path.read_text())}
    assert {cell for cell in cells(1, CLIENT) if cell.startswith("BATCHBANDIT_")} == read


def usage(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the client's command says of itself."""
    with pytest.raises(SystemExit):
        client_main([*arguments, "--help"])
    return capsys.readouterr().out


def test_every_command_of_the_client_is_documented_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    documented = {cell.split()[-1] for cell in cells(1, CLIENT) if cell.startswith("python -m batchbandit ")}
    listed = usage(capsys).split("COMMAND")[2]
    assert documented == set(re.findall(r"^    (\w+)  ", listed, re.MULTILINE))
    options = set(re.findall(r"--[a-z-]+", usage(capsys)))
    for command in documented:
        told = usage(capsys, command)
        options |= set(re.findall(r"--[a-z-]+", told))
        assert "URL" in told
    assert {cell for cell in cells(1, CLIENT) if cell.startswith("--")} == options


def test_every_public_name_of_the_client_is_documented() -> None:
    names = set(batchbandit.__all__) - {"__version__"}
    assert (
        sorted(name for name in names if not re.search(rf"(`|batchbandit\.|import .*){name}\b", CLIENT)) == []
    )


def test_the_readme_names_every_make_target_and_no_other() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make\s+([\w-]+)", README, re.MULTILINE)) == targets - {"clean"}


@pytest.mark.parametrize("document", PAGES)
def test_every_file_that_a_document_links_to_exists(document: str) -> None:
    linked = re.findall(r"\]\((?!\w+:)([^)#]+)", (ROOT / document).read_text())
    assert [name for name in linked if not (ROOT / document).parent.joinpath(name).exists()] == []
