"""A token that reads sees the jobs of its prefix alone, wherever jobs are shown."""

from collections.abc import Iterator

import httpx
import pytest

from service.credentials import Role
from tests.service.access.holders import Guarded, client, make_token, until
from tests.service.api.paths import JOBS, path_of
from tests.service.talk import Api


@pytest.fixture(scope="module")
def reader(guarded: Guarded) -> Iterator[httpx.Client]:
    """Return a client whose token reads the jobs of a group."""
    with client(guarded.server, make_token(guarded.server.database_url, Role.READER, "group-")) as opened:
        until(lambda: opened.get(JOBS).status_code != 401)
        yield opened


@pytest.fixture(scope="module", autouse=True)
def jobs(operator: httpx.Client) -> None:
    """Let there be jobs of the group and others."""
    api = Api(operator)
    for name in ("group-1", "group-2", "grouped", "gro", "Group-3"):
        api.trial(api.register(job_id=name, job_id_prefix="")["job_id"])


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["group-1", "group-2"]),
        ({"prefix": "g"}, ["group-1", "group-2"]),
        ({"prefix": "group-2"}, ["group-2"]),
        ({"prefix": "grouped"}, []),
        ({"prefix": "team"}, []),
        ({"sort": "-last_activity", "limit": "1"}, ["group-2"]),
        ({"activity": "running", "sort": "-job_id"}, ["group-2", "group-1"]),
        ({"trouble": "stuck"}, []),
    ],
)
def test_lists_leave_out_the_others(reader: httpx.Client, query: dict[str, str], names: list[str]) -> None:
    assert [job["job_id"] for job in reader.get(JOBS, params=query).json()["jobs"]] == names


def test_a_cursor_of_somebody_who_sees_more_shows_no_more(
    reader: httpx.Client, operator: httpx.Client
) -> None:
    cursor = operator.get(JOBS, params={"limit": 1}).json()["next"]
    seen = [job["job_id"] for job in reader.get(JOBS, params={"cursor": cursor}).json()["jobs"]]
    assert seen == ["group-1", "group-2"]


@pytest.mark.parametrize("rest", [(), ("trials",), ("trials", 1), ("trials", 1, "decision"), ("export",)])
def test_asking_for_another_job_is_forbidden_whether_or_not_it_is_there(
    reader: httpx.Client, rest: tuple[str | int, ...]
) -> None:
    for name in ("group-1", "group-2"):
        assert reader.get(path_of(name, *rest)).status_code == 200
    for name in ("grouped", "gro", "Group-3", "nobody's"):
        refused = reader.get(path_of(name, *rest))
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:batchbandit:problem:forbidden")


def test_figures_of_all_jobs_are_not_for_those_of_a_prefix(
    reader: httpx.Client, operator: httpx.Client
) -> None:
    assert operator.get("/metrics").status_code == 200
    for method in ("GET", "HEAD"):
        assert reader.request(method, "/metrics").status_code == 403


def test_who_only_trains_sees_nothing(trainer: httpx.Client) -> None:
    assert trainer.get(JOBS).status_code == 403
    assert trainer.get(path_of("team-1")).status_code == 403
