"""What the documentation lists is what there is."""

import itertools
import re

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

README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
CLIENT = (ROOT / "docs" / "client.md").read_text()


def commands(group: click.Group, name: str = "batchbandit") -> dict[str, click.Command]:
    """Return every command below a group by its whole name."""
    found: dict[str, click.Command] = {}
    for part, command in group.commands.items():
        whole = f"{name} {part}"
        found |= commands(command, whole) if isinstance(command, click.Group) else {whole: command}
    return found


def options_of(command: click.Command) -> list[click.Option]:
    """Return the options of a command, which may take arguments besides."""
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def cells(column: int, document: str = REFERENCE) -> set[str]:
    """Return what stands in backquotes at the start of a column of a document's tables."""
    rows = (line.split("|") for line in document.splitlines() if line.startswith("| `"))
    return {match[1] for row in rows if (match := re.match(r" `([^`]+)`", row[column]))}


def test_every_command_is_documented_and_no_other() -> None:
    assert {cell for cell in cells(1) if cell.startswith("batchbandit ")} == set(commands(main))


def test_every_option_is_documented_with_its_environment_and_default() -> None:
    for command in commands(main).values():
        for option in options_of(command):
            row = next(line for line in REFERENCE.splitlines() if line.startswith(f"| `{option.opts[0]}` |"))
            assert option.envvar is None or f"`{option.envvar}`" in row
            if isinstance(option.default, str | int) and option.default not in {"", False}:
                assert f"`{option.default}`" in row
    options = {option.opts[0] for command in commands(main).values() for option in options_of(command)}
    assert {cell for cell in cells(1) if cell.startswith("--")} == options


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


def test_every_metric_is_documented_and_no_other() -> None:
    counted = {name.removesuffix("_total") for name in cells(1) if name.startswith("batchbandit_")}
    census = Census(None)  # type: ignore[arg-type]  # which is not asked
    given = {metric.name for metric in itertools.chain(REGISTRY.collect(), census.collect())}
    assert counted == {name for name in given if name.startswith("batchbandit")}


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


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "client/README.md",
        "docs/client.md",
        "docs/power.md",
        "docs/reference.md",
        "docs/scaling.md",
        "docs/fuzzing.md",
        "docs/damage.md",
        "docs/faults.md",
    ],
)
def test_every_file_that_a_document_links_to_exists(document: str) -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / document).read_text())
    assert [name for name in linked if not (ROOT / document).parent.joinpath(name).exists()] == []
