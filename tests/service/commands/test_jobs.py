"""The commands about jobs and trials, against a real server."""

import json
from collections.abc import Callable

import httpx
import msgspec
import pytest

from benchmarks.server import Server, running_server
from service.commands import calling
from service.credentials import Role
from service.views.shapes import JobView, TrialView
from tests.service.access.holders import make_token
from tests.service.commands.conftest import LEARNED, ODD, WALKING, Run, run_inside
from tests.service.talk import Api


@pytest.fixture(scope="module")
def get(jobs_server: Server) -> Callable[[str], dict[str, object]]:
    """Return what gets an answer of the API as it is."""

    def got(path: str) -> dict[str, object]:
        with httpx.Client(base_url=jobs_server.url, timeout=30, trust_env=False) as http:
            answer = http.get(path)
        assert answer.status_code == 200, answer.text
        body: dict[str, object] = answer.json()
        return body

    return got


def names(out: str) -> list[str]:
    """Return the names of the jobs that were listed as JSON."""
    return [json.loads(line)["job_id"] for line in out.splitlines()]


def test_jobs_are_listed_for_people_and_for_programs(
    ask: Run, get: Callable[[str], dict[str, object]]
) -> None:
    done = ask("jobs", "ls")
    assert (done.code, done.err) == (0, "")
    heading, *lines = done.out.splitlines()
    assert heading.split()[:3] == ["job", "stage", "activity"]
    assert [line.split()[0] for line in lines] == ["odd/na\\tme\\x1b[31m\\n-9", LEARNED, WALKING]
    assert "bandit" in lines[1]
    assert all(line == line.rstrip() for line in lines)
    printed = [json.loads(line) for line in ask("jobs", "ls", "--json").out.splitlines()]
    assert printed == get("/api/v1/jobs")["jobs"]


def test_jobs_are_filtered_sorted_and_paged(ask: Run) -> None:
    assert names(ask("jobs", "ls", "--json", "--prefix", "resnet-").out) == [LEARNED, WALKING]
    assert names(ask("jobs", "ls", "--json", "--stage", "mab").out) == [LEARNED]
    assert names(ask("jobs", "ls", "--json", "--activity", "running").out) == [WALKING]
    assert names(ask("jobs", "ls", "--json", "--sort", "-trials", "--limit", "2").out) == [LEARNED, WALKING]
    first = ask("jobs", "ls", "--limit", "1")
    assert len(first.out.splitlines()) == 2
    assert "--all" in first.err
    nothing = ask("jobs", "ls", "--prefix", "none")
    assert (nothing.code, nothing.err) == (0, "No jobs.\n")
    assert ask("jobs", "ls", "--sort", "size").code == 2


def test_all_pages_of_a_long_list_are_printed(ask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "LARGEST_PAGE", 2)
    wanted = [ODD, LEARNED, WALKING]
    assert names(ask("jobs", "ls", "--all", "--json").out) == wanted
    assert names(ask("jobs", "ls", "--limit", "3", "--json").out) == wanted
    numbers = [
        json.loads(line)["trial_number"]
        for line in ask("trials", "ls", LEARNED, "--all", "--json").out.splitlines()
    ]
    assert numbers == list(range(12, 0, -1))
    table = ask("jobs", "ls", "--all")
    assert (len(table.out.splitlines()), table.err) == (4, "")


def test_a_job_is_shown_with_its_arms(ask: Run, get: Callable[[str], dict[str, object]]) -> None:
    printed = json.loads(ask("jobs", "show", LEARNED, "--json").out)
    assert printed == get(f"/api/v1/jobs/{LEARNED}")
    job = msgspec.convert(printed, JobView, strict=False)
    done = ask("jobs", "show", LEARNED)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == LEARNED
    rows = {line.split()[0]: line for line in done.out.splitlines()[-len(job.batch_sizes) :]}
    assert list(rows) == [str(seen.batch_size) for seen in job.batch_sizes]
    assert all("●" in row for row in rows.values())
    assert rows[str(job.best_batch_size)].split("%")[-1].strip().startswith("best")
    assert rows["16"].endswith("default")
    assert job.savings is not None
    assert job.savings.how in done.out
    assert job.last_decision is not None
    assert job.last_decision.sentence in done.out
    walking = ask("jobs", "show", WALKING).out
    assert "pruning, round 1 of 2" in walking
    assert "failures in a row: 1" in walking


def test_what_could_steer_a_terminal_is_written_out(ask: Run) -> None:
    done = ask("jobs", "show", ODD)
    assert done.code == 0, done.err
    assert "\x1b" not in done.out
    assert "odd/na\\tme\\x1b[31m\\n-9" in done.out
    assert "\x1b" not in ask("jobs", "show", "\x1b[31mnone").err


def test_trials_are_listed_and_filtered(ask: Run, get: Callable[[str], dict[str, object]]) -> None:
    done = ask("trials", "ls", LEARNED, "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == get(f"/api/v1/jobs/{LEARNED}/trials")[
        "trials"
    ]

    def found(*options: str) -> list[TrialView]:
        out = ask("trials", "ls", LEARNED, "--json", *options).out
        return [msgspec.json.decode(line, type=TrialView) for line in out.splitlines()]

    assert [trial.trial_number for trial in found("--order", "oldest", "--limit", "3")] == [1, 2, 3]
    assert {trial.batch_size for trial in found("--batch-size", "16")} == {16}
    assert {trial.type.value for trial in found("--type", "exploration")} == {"Exploration"}
    assert {trial.converged for trial in found("--converged")} == {True}
    assert found("--not-converged") == []
    table = ask("trials", "ls", WALKING)
    assert [line.split()[:2] for line in table.out.splitlines()[1:]] == [["3", "8"], ["2", "8"], ["1", "16"]]
    assert "OutOfMemoryError" in table.out


def test_a_trial_is_explained(ask: Run, get: Callable[[str], dict[str, object]]) -> None:
    decision = get(f"/api/v1/jobs/{LEARNED}/trials/12/decision")
    assert json.loads(ask("trials", "why", LEARNED, "12", "--json").out) == decision
    done = ask("trials", "why", LEARNED, "12")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == decision["sentence"]
    [chosen] = [line for line in done.out.splitlines() if line.endswith("chosen")]
    assert chosen.split()[0] == str(decision["batch_size"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["jobs", "show", "none"], 3, "Job(none)"),
        (["jobs", "rm", "none", "--yes"], 3, "Job(none)"),
        (["jobs", "pause", "none"], 3, "Job(none)"),
        (["jobs", "export", "none", "-o", "/nonexistent/none.csv"], 3, "Job(none)"),
        (["trials", "ls", "none"], 3, "Job(none)"),
        (["trials", "why", LEARNED, "4000"], 3, "4000"),
        (["trials", "why", LEARNED, "0"], 2, "NUMBER"),
        (["jobs", "show", ""], 2, "jobs ls"),
        (["jobs", "set", LEARNED], 2, "name what to change"),
        (["jobs", "set", LEARNED, "--eta", "1.5"], 2, "--eta"),
        (["jobs", "set", LEARNED, "--beta", "0"], 2, "--beta"),
        (["jobs", "set", LEARNED, "--beta", "nan"], 2, "--beta"),
        (["jobs", "set", LEARNED, "--window", "99999999999"], 4, "window_size"),
        (["jobs", "rm", LEARNED], 2, "--yes"),
        (["jobs", "reset", LEARNED], 2, "--yes"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_with_its_exit_code(
    ask: Run, arguments: list[str], code: int, said: str
) -> None:
    done = ask(*arguments)
    assert (done.code, done.out) == (code, ""), done.err
    assert said in done.err
    assert "Traceback" not in done.err


def test_terms_are_changed_and_jobs_paused_resumed_reset_and_removed(ask: Run, jobs_server: Server) -> None:
    name = "changed/../job"
    with httpx.Client(base_url=jobs_server.url, trust_env=False, timeout=30) as http:
        Api(http).register(job_id=name, job_id_prefix="changed")
        Api(http).run(name)

    def shown() -> JobView:
        return msgspec.json.decode(ask("jobs", "show", name, "--json").out, type=JobView)

    done = ask("jobs", "set", name, "--eta", "0.75", "--beta", "none", "--window", "5", "--max-epochs", "7")
    assert (done.code, done.out) == (0, "")
    assert "eta_knob 0.75" in done.err
    terms = shown().specification
    assert (terms.eta_knob, terms.beta_knob, terms.window_size, terms.max_epochs) == (0.75, None, 5, 7)
    assert "eta_knob (was 0.5)" in ask("jobs", "show", name).out
    assert json.loads(ask("jobs", "set", name, "--beta", "3", "--json").out)["beta_knob"] == 3

    assert json.loads(ask("jobs", "pause", name, "--json").out) == {"job_id": name, "is_paused": True}
    assert shown().activity.value == "paused"
    assert ask("jobs", "resume", name).err == f"Job '{name}' goes on.\n"
    assert shown().activity.value == "idle"
    assert json.loads(ask("jobs", "reset", name, "--yes", "--json").out) == {
        "job_id": name,
        "first_trial_number": 2,
    }
    assert json.loads(ask("jobs", "rm", name, "--yes", "--json").out) == {"job_id": name}
    assert ask("jobs", "show", name).code == 3


def test_tokens_let_in_and_keep_out() -> None:
    with running_server() as server:
        reader = make_token(server.database_url, Role.READER, "team-")
        at = {"BATCHBANDIT_URL": server.url}
        missing = run_inside("jobs", "ls", **at)
        assert (missing.code, missing.out) == (5, "")
        assert "BATCHBANDIT_TOKEN" in missing.err
        assert run_inside("jobs", "ls", "--token", "bb_000000000000_x", **at).code == 5
        assert run_inside("jobs", "ls", BATCHBANDIT_TOKEN=reader, **at).code == 0
        assert (
            run_inside("jobs", "ls", BATCHBANDIT_URL=server.url.replace("//", f"//cli:{reader}@")).code == 0
        )
        for arguments in (["jobs", "show", "other-job"], ["jobs", "rm", "team-job", "--yes"]):
            refused = run_inside(*arguments, BATCHBANDIT_TOKEN=reader, **at)
            assert (refused.code, refused.out) == (5, "")
            assert reader not in refused.err
