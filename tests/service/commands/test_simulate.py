"""The command that simulates: what it reads, prints, draws and refuses."""

import json
import math
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from distributed import LocalCluster

from benchmarks.runs import write
from benchmarks.server import Server
from service.commands import simulating as simulating_command
from service.commands.comparing import estimated
from service.simulation import engines
from service.simulation.contenders import Contender
from service.simulation.estimates import Estimate
from service.simulation.recordings import Overrides, read
from service.simulation.traces import recorded
from service.simulation.workloads import NEVER, Goal, Spending, Workload
from service.simulation.workloads import Run as Training
from tests.service.commands.conftest import PROGRAM, Done, Run

HEAD = (
    "workload,batch_size,epochs,seconds_per_epoch,joules_per_epoch,default_batch_size,max_power,max_epochs\n"
)
SMALL = ("--synthetic", "valley", "--workloads", "2", "--recurrences", "20")


def write_runs(folder: Path, text: str) -> Path:
    """Write a file of runs."""
    file = folder / "runs.csv"
    file.write_text(text)
    return file


def test_both_forms_of_a_run_are_read_and_rows_without_one_passed_over(tmp_path: Path) -> None:
    by_epoch = HEAD + "bert,16,4,10,2000,16,300,9\nbert,32,,8,1900,16,300,9\nbert,64,12,8,1900,,,\n"
    [workload] = read(write_runs(tmp_path, by_epoch), Overrides())
    never = Training(8.0, 1900.0, (0.0,) * 9)
    assert workload == Workload(
        name="bert",
        goal=Goal(0.5, 9),
        default_batch_size=16,
        max_power=300.0,
        runs={
            16: [Training(10.0, 2000.0, (0.0, 0.0, 0.0, 1.0))],
            32: [never],
            64: [never],  # after its last epoch it is too late
        },
    )
    whole = "job_id,batch_size,time,energy,converged\njob,8,100,5000,true\njob,16,,,\njob,16,50,4000,false\n"
    [workload] = read(write_runs(tmp_path, whole), Overrides(8, 250.0))
    assert workload.expected(8) == pytest.approx(Spending(100.0, 5000.0))
    assert workload.whole(workload.runs[16][0]) == pytest.approx(Spending(50.0, 4000.0))
    assert (workload.name, workload.max_power) == ("job", 250.0)
    assert workload.expected(16) == NEVER


def test_a_run_that_was_stopped_goes_on_at_its_pace_and_never_reaches_the_target(tmp_path: Path) -> None:
    stopped = "batch_size,time,energy,converged,epochs\n8,100,5000,true,20\n16,15,900,false,3\n"
    [workload] = read(write_runs(tmp_path, stopped), Overrides(8, 250.0))
    assert workload.goal == Goal(0.5, 20)
    assert workload.runs[8] == [Training(5.0, 250.0, (0.0,) * 19 + (1.0,))]
    assert workload.runs[16] == [Training(5.0, 300.0, (0.0,) * 20)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no runs"),
        (HEAD, "has no runs"),
        (HEAD + "a,16,4,10,2000,,300,\n", "no default_batch_size of a; name it with --default"),
        (HEAD + "a,16,4,10,2000,16,,\n", "no max_power of a; name it in watts with --max-power"),
        (HEAD + "a,16,4,10,2000,32,300,\n", "no run of a at its default batch size 32"),
        (HEAD + "a,16,4,10,2000,16,300,\na,8,4,10,2000,8,300,\n", "a has several default_batch_size: 8, 16"),
        (HEAD + "a,16,4,-10,2000,16,300,\n", "line 2: Expected `float` > 0.0"),
        (HEAD + "a,none,4,10,2000,16,300,\n", "line 2: Expected `int`"),
        (HEAD + "a,16,4,,,16,300,\n", "does not say what runs of a took"),
        (HEAD + "a,16,,10,2000,16,300,\n", "no run of a reaches its target"),
        (HEAD + "a,16,4,10,0,16,300,\n", "a run of a cannot be costed"),
        ("batch_size\n" + "1" * 200_000, "field larger than field limit"),
        ("batch_size,time\n16,\xff", "no table of comma-separated values"),
    ],
)
def test_a_file_that_does_not_say_enough_is_refused(run: Run, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "runs.csv"
    file.write_bytes(text.encode("latin-1"))
    done = run("simulate", str(file), "--eta", "1")
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_file_that_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    done = run("simulate", str(tmp_path / "none.csv"))
    assert done.code == 2
    assert "No such file or directory" in done.err


def outcomes_of(done: Done) -> list[dict[str, Any]]:
    """Return the objects that were printed."""
    assert (done.code, done.err) == (0, "")
    return [json.loads(line) for line in done.out.splitlines()]


def test_an_export_of_a_job_is_an_input(ask: Run, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "resnet.csv"
    assert ask("jobs", "export", "resnet-learned", "-o", str(file)).code == 0
    flags = ("--default", "16", "--max-power", "200", "--seeds", "5", "--json")
    outcome, total = outcomes_of(run("simulate", str(file), *flags))
    assert (outcome["workload"], outcome["default_batch_size"]) == ("resnet-learned", 16)
    assert [result["policy"] for result in outcome["policies"]] == [each.value for each in Contender]
    assert all(set(result["chosen"]) <= {"8", "16", "32"} for result in outcome["policies"])
    assert [each["policy"] for each in total["total"]] == [each.value for each in Contender]


def test_a_file_of_runs_is_as_good_as_the_traces_that_it_is_made_from(shared: Path, tmp_path: Path) -> None:
    workloads = recorded(shared / "traces").workloads
    with (tmp_path / "runs.csv").open("w") as file:
        write(workloads, file)
    for workload, kept in zip(workloads, read(tmp_path / "runs.csv", Overrides()), strict=True):
        assert kept.name == workload.title
        for size in workload.batch_sizes:
            assert kept.expected(size) == pytest.approx(tuple(workload.expected(size)))
        assert kept.best_batch_size(0.5) == workload.best_batch_size(0.5)


def test_a_folder_of_traces_is_an_input_and_policies_rest_near_the_best(run: Run, shared: Path) -> None:
    folder = str(shared / "traces")
    *outcomes, total = outcomes_of(run("simulate", folder, "--seeds", "20", "--json"))
    assert len(outcomes) == 12
    for outcome in outcomes:
        results = {result["policy"]: result for result in outcome["policies"]}
        assert list(results["oracle"]["chosen"]) == [str(outcome["best_batch_size"])]
        assert abs(results["oracle"]["regret"]["value"]) < 1
        regret = results["zeus"]["regret"]
        assert 0 < regret["low"] <= regret["value"] <= regret["high"] < 25
        assert results["zeus"]["by_zeus"]["value"] == pytest.approx(1)
        assert len(results["zeus"]["regrets"]) == 100
        assert results["zeus"]["regrets"][-1] == pytest.approx(regret["value"])
    [zeus] = [each for each in total["total"] if each["policy"] == "zeus"]
    summed = [result for each in outcomes for result in each["policies"] if result["policy"] == "zeus"]
    assert zeus["regret"]["value"] == pytest.approx(
        sum(result["regret"]["value"] for result in summed), rel=1e-9
    )
    assert zeus["against"]["default"]["energy"]["high"] < 1
    table = run("simulate", folder, "--seeds", "2", "--recurrences", "5", "--policy", "zeus")
    assert [line.split("  ")[0] for line in table.out.splitlines()[1:13]] == [
        each["workload"] for each in outcomes
    ]


def test_what_a_folder_has_that_is_not_known_is_named(run: Run, shared: Path, tmp_path: Path) -> None:
    for file in (shared / "traces").glob("*.csv"):
        (tmp_path / file.name).write_text(file.read_text())
    with (tmp_path / "summary_train.csv").open("a") as runs:
        runs.write("mnist,lenet,64,sgd,0.1,1,0.9,5\n")
    done = run("simulate", str(tmp_path), "--seeds", "1", "--policy", "oracle")
    assert done.code == 0
    assert done.err.startswith("passed over: mnist lenet sgd in ")
    assert run("simulate", str(tmp_path), "--default", "8").code == 2


@pytest.mark.parametrize(
    "conditions",
    [
        ("--noise", "0.2", "--unsteady", "0.3", "--hopeless", "0.5"),
        ("--drift", "10", "--dearer", "0.3"),
        ("--concurrency", "4", "--failures", "0.1"),
    ],
)
def test_what_is_made_up_may_be_troubled(run: Run, conditions: tuple[str, ...]) -> None:
    plain = outcomes_of(run("simulate", *SMALL, "--seeds", "4", "--json"))
    troubled = outcomes_of(run("simulate", *SMALL, "--seeds", "4", "--json", *conditions))
    assert plain != troubled
    for outcome in troubled[:-1]:
        assert (outcome["then_best"] is not None) == ("--drift" in conditions)
        assert outcome["then_best"] != outcome["best_batch_size"]
        assert all(result["stuck"] == 0 for result in outcome["policies"])


def test_whom_one_names_is_played_and_nobody_else(run: Run) -> None:
    [_, _, total] = outcomes_of(run("simulate", *SMALL, "--seeds", "1", "--json", "--policy", "grid"))
    [grid] = total["total"]
    assert (grid["policy"], grid["by_zeus"], grid["against"]) == ("grid", None, {})
    assert grid["regret"]["low"] is None  # of one seed there is no interval


def test_nothing_depends_on_how_many_compute(run: Run, program: Run) -> None:
    few = ("--policy", "zeus", "--policy", "frugal", "--policy", "default")
    flags = ("simulate", *SMALL, *few, "--seeds", "60", "--concurrency", "2", "--json")
    alone = run(*flags, "--workers", "1")
    assert outcomes_of(program(*flags, "--workers", "2")) == outcomes_of(alone)


def test_further_processes_start_only_where_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "PATIENCE", -1.0)
    monkeypatch.setattr(engines, "_cores", lambda: 2)
    done: list[int] = []
    assert engines.mapped(abs, [-3, -2, -1], None, done.append) == [3, 2, 1]
    assert sum(done) == 3


@contextmanager
def simulating(*flags: str) -> Iterator[subprocess.Popen[str]]:
    """Run a simulation that takes long."""
    long = ("simulate", *SMALL, "--seeds", "100000", "--concurrency", "2", "--policy", "zeus", *flags)
    with subprocess.Popen(
        [PROGRAM, *long],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("interrupt", [os.kill, os.killpg])  # by a script, and by a terminal
def test_an_interrupt_ends_all_processes_at_once(interrupt: Callable[[int, int], None]) -> None:
    with simulating("--workers", "2") as process:
        poll(lambda: len(children_of(process.pid)) > 2)  # two, and one that Python itself starts
        children = children_of(process.pid)
        interrupt(process.pid, signal.SIGINT)
        assert process.communicate(timeout=20)[1] == "Error: interrupted\n"
        assert process.returncode == 130
    poll(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_an_interrupt_leaves_no_jobs_in_a_service(server: Server) -> None:
    with simulating("--url", server.url) as process:
        poll(lambda: jobs_of(server))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20)[1] == "Error: interrupted\n"
        assert process.returncode == 130
    assert jobs_of(server) == []


def children_of(pid: int) -> list[str]:
    """Return the processes that a process has started."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def poll(is_so: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed")
def test_nothing_depends_on_a_cluster_either(run: Run) -> None:
    flags = ("simulate", *SMALL, "--seeds", "60", "--json")
    local: Any = LocalCluster  # which has no types
    with local(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        told = run(*flags, "--dask", cluster.scheduler_address)
    assert outcomes_of(told) == outcomes_of(run(*flags))


def test_without_dask_it_is_said_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = run("simulate", *SMALL, "--dask", "tcp://127.0.0.1:1")
    assert done.code == 2
    assert "pip install 'batchbandit-server[dask]'" in done.err


def test_a_scheduler_that_does_not_answer_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 0.2)
    done = run("simulate", *SMALL, "--dask", "tcp://127.0.0.1:1")
    assert done.code == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in done.err


@pytest.mark.parametrize("policy", ["zeus", "frugal", "frugal-warm"])
@pytest.mark.parametrize("conditions", [(), ("--concurrency", "3", "--failures", "0.2", "--drift", "8")])
def test_a_service_decides_as_core_does(
    run: Run, server: Server, conditions: tuple[str, ...], policy: str
) -> None:
    few = ("--synthetic", "valley", "--workloads", "1", "--recurrences", "12", "--seeds", "2")
    flags = ("simulate", *few, "--policy", policy, "--json", *conditions)
    asked = run(*flags, "--url", server.url)
    assert outcomes_of(asked) == outcomes_of(run(*flags))
    assert jobs_of(server) == []
    assert run(*flags, "--url", server.url, "--keep").code == 0
    kept = jobs_of(server)
    assert len(kept) == (4 if policy == "frugal-warm" else 2)  # with those that they begin with
    for job_id in kept:
        httpx.delete(f"{server.url}/jobs", params={"job_id": job_id}, trust_env=False).raise_for_status()


def jobs_of(server: Server) -> list[str]:
    """Return the jobs of simulations that a service has."""
    told = httpx.get(f"{server.url}/api/v1/jobs", params={"prefix": "simulation"}, trust_env=False)
    return [job["job_id"] for job in told.json()["jobs"]]


def test_a_service_that_does_not_answer_is_named(run: Run) -> None:
    done = run("simulate", *SMALL, "--policy", "zeus", "--url", "http://127.0.0.1:1")
    assert done.code == 6
    assert "127.0.0.1:1" in done.err


@pytest.mark.parametrize("form", ["svg", "png"])
def test_the_regret_is_drawn(run: Run, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"regret.{form}"
    assert run("simulate", *SMALL, "--seeds", "3", "--picture", str(file)).code == 0
    if form == "png":
        assert file.read_bytes().startswith(b"\x89PNG")
        return
    words = {text.text for text in ET.parse(file).iter("{http://www.w3.org/2000/svg}text")}  # noqa: S314  (ours)
    assert {each.value for each in Contender} <= words
    assert {"recurrences", "regret, in trainings at the best"} <= words


def test_a_picture_that_cannot_be_drawn_is_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ("simulate", *SMALL, "--seeds", "1", "--picture")
    unwritable = run(*small, str(tmp_path / "none" / "regret.svg"))
    assert unwritable.code == 2
    assert "cannot be written (No such file" in unwritable.err
    assert "wins" in unwritable.out  # what was found out is not lost with it
    monkeypatch.setattr(simulating_command, "simulated", lambda *_: pytest.fail("it is refused before"))
    assert "let it end with .pdf, .png, .svg" in run(*small, str(tmp_path / "regret.txt")).err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run(*small, str(tmp_path / "regret.svg"))
    assert (done.code, done.out) == (2, "")
    assert "pip install 'batchbandit-server[pictures]'" in done.err


def test_without_anything_to_train_it_is_said_what_to_name(run: Run) -> None:
    done = run("simulate")
    assert done.code == 2
    assert "name a file or a folder of runs, or --synthetic valley" in done.err


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--max-power", "300"), "are of a file of runs, and none is named"),
        (("--url", "http://127.0.0.1:1", "--dask", "tcp://127.0.0.1:1"), "name one of them"),
        (("--drift", "20"), "nothing comes after the last of 20 recurrences: let --drift be smaller"),
        (("--keep",), "--keep leaves jobs in a service: name one with --url, or leave --keep out"),
        (("--token", "bb_x"), "--token lets one into a service: name one with --url, or leave --token out"),
    ],
)
def test_flags_that_would_say_nothing_are_refused(run: Run, flags: tuple[str, ...], said: str) -> None:
    done = run("simulate", *SMALL, *flags)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_drift_before_the_last_recurrence_and_a_token_in_the_environment_are_fine(run: Run) -> None:
    environment = {"BATCHBANDIT_TOKEN": "bb_x"}
    done = run("simulate", *SMALL, "--seeds", "1", "--json", "--drift", "19", **environment)
    assert done.code == 0
    assert outcomes_of(done)[0]["then_best"] is not None


def test_a_batch_size_beside_which_there_is_none_cannot_become_dearer(run: Run, tmp_path: Path) -> None:
    file = write_runs(tmp_path, HEAD + "a,16,4,10,2000,16,300,\n")
    done = run("simulate", str(file), "--drift", "5")
    assert done.code == 2
    assert "nothing can move in a: only batch size 16 reaches its target" in done.err


def test_a_default_that_never_reaches_its_target_is_stuck_and_saves_nothing(run: Run, tmp_path: Path) -> None:
    rows = "a,16,,10,2000,16,300,\na,32,4,10,2000,,,\n"
    outcome, total = outcomes_of(
        run("simulate", str(write_runs(tmp_path, HEAD + rows)), "--seeds", "3", "--json")
    )
    default, oracle, *_ = outcome["policies"]
    assert (default["stuck"], default["regret"], default["chosen"]) == (3, None, {})
    assert oracle["against"]["default"] == {"cost": None, "energy": None, "time": None}
    assert math.isclose(oracle["regret"]["value"], 0, abs_tol=1e-9)
    assert total["total"][0]["stuck"] == 3


def test_a_number_that_rounds_to_nothing_has_no_sign() -> None:
    assert estimated(Estimate(-0.001, -0.011, 0.009)) == "0.00 ± 0.01"
