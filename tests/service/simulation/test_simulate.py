"""What the service would choose for recorded trainings: the simulator alone, and its command."""

import json
import math
from pathlib import Path

import httpx
import numpy as np
import pytest
from benchmarks.traces import recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.runs import write
from benchmarks.server import Server
from core.records import Policy
from service.simulation.outcomes import Plan, best_of, epochs_of, simulate, story_of
from service.simulation.recordings import Overrides, Spending, Workload, read
from service.simulation.recordings import Run as Recorded
from tests.service.commands.conftest import Run
from tests.service.talk import Api

HEAD = (
    "workload,batch_size,epochs,seconds_per_epoch,joules_per_epoch,default_batch_size,max_power,max_epochs\n"
)
PLAN = Plan(Policy.ZEUS, recurrences=40, seeds=3, eta_knob=0.5, beta_knob=2.0)


def write_runs(folder: Path, text: str) -> Path:
    """Write a file of runs."""
    file = folder / "runs.csv"
    file.write_text(text)
    return file


def test_both_forms_of_a_run_are_read_and_rows_without_one_passed_over(tmp_path: Path) -> None:
    by_epoch = HEAD + "bert,16,4,10,2000,16,300,9\nbert,32,,8,1900,16,300,9\nbert,64,12,8,1900,,,\n"
    [workload] = read(write_runs(tmp_path, by_epoch), Overrides())
    assert workload == Workload(
        "bert",
        16,
        300.0,
        {
            16: [Recorded(4, 10.0, 2000.0, converged=True)],
            32: [Recorded(9, 8.0, 1900.0, converged=False)],
            64: [Recorded(9, 8.0, 1900.0, converged=False)],  # after its last epoch it is too late
        },
    )
    whole = "job_id,batch_size,time,energy,converged\njob,8,100,5000,true\njob,16,,,\njob,16,50,4000,false\n"
    [workload] = read(write_runs(tmp_path, whole), Overrides(8, 250.0))
    assert {size: [run.whole for run in runs] for size, runs in workload.runs.items()} == {
        8: [pytest.approx(Spending(100.0, 5000.0))],
        16: [pytest.approx(Spending(50.0, 4000.0))],
    }
    assert (workload.name, workload.max_power) == ("job", 250.0)
    assert workload.expected(16) == Spending(math.inf, math.inf)


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


runs = st.builds(
    Recorded,
    parts=st.integers(1, 12),
    part_time=st.floats(1, 100),
    part_energy=st.floats(1, 10_000),
    converged=st.booleans(),
)
histories = st.dictionaries(
    st.sampled_from([8, 16, 32, 64]), st.lists(runs, min_size=1, max_size=3), min_size=1
)


@settings(max_examples=30, deadline=None)
@given(history=histories, data=st.data())
def test_no_choice_takes_less_than_the_cheapest_runs_and_what_never_ends_is_stuck(
    history: dict[int, list[Recorded]], data: st.DataObject
) -> None:
    default = data.draw(st.sampled_from(sorted(history)))
    workload = Workload("any", default, 300.0, dict(sorted(history.items())))
    reaching = [run.whole for found in history.values() for run in found if run.converged]
    plan = Plan(Policy.ZEUS, recurrences=5, seeds=1, eta_knob=0.5, beta_knob=2.0)
    story = story_of(workload, plan, data.draw(st.integers(0, 10)))
    if not reaching:
        assert story.is_stuck
    if not story.is_stuck:
        assert story.spent.time >= plan.recurrences * min(whole.time for whole in reaching) * (1 - 1e-9)
        assert story.spent.energy >= plan.recurrences * min(whole.energy for whole in reaching) * (1 - 1e-9)


def test_the_best_batch_size_is_found_and_its_savings_are_those_of_the_runs() -> None:
    times = {16: 100.0, 32: 60.0, 64: 90.0}
    workload = Workload(
        "steady",
        16,
        300.0,
        {size: [Recorded(10, time / 10, 20 * time, converged=True)] for size, time in times.items()},
    )
    assert best_of(workload, PLAN) == 32
    done: list[int] = []
    [outcome] = simulate([workload], PLAN, done.append)
    assert sum(done) == PLAN.seeds
    assert next(iter(outcome.chosen)) == 32
    assert outcome.stuck == 0
    # Every run of a batch size takes the same, so that what is saved follows from the regret.
    assert outcome.regret is not None
    assert outcome.saved_time is not None
    spent = (PLAN.recurrences + outcome.regret.median) * 60.0
    assert outcome.saved_time.median == pytest.approx(1 - spent / (PLAN.recurrences * 100.0))


def test_a_default_that_never_reaches_its_target_has_no_savings() -> None:
    never, always = Recorded(10, 1.0, 100.0, converged=False), Recorded(5, 1.0, 100.0, converged=True)
    [outcome] = simulate([Workload("late", 32, 300.0, {16: [always], 32: [never]})], PLAN, lambda _: None)
    assert (outcome.saved_cost, outcome.saved_energy, outcome.saved_time) == (None, None, None)
    assert outcome.best_batch_size == 16


def test_the_service_itself_decides_as_the_simulator_does(jobs_server: Server) -> None:
    found = {8: Recorded(4, 9.0, 2500.0, converged=True), 16: Recorded(4, 5.0, 1900.0, converged=True)}
    found[32] = Recorded(10, 4.0, 1700.0, converged=False)
    workload = Workload("twin", 16, 200.0, {size: [run] for size, run in found.items()})
    plan = Plan(Policy.ZEUS, recurrences=12, seeds=1, eta_knob=0.5, beta_knob=2.0)
    wanted = story_of(workload, plan, 7)
    spent = np.zeros(2)
    chosen = []
    with httpx.Client(base_url=jobs_server.url, trust_env=False, timeout=30) as http:
        api = Api(http)
        job_id = api.register(mab_seed=7, max_power=200.0)["job_id"]
        converged = 0
        while converged < plan.recurrences:
            trial = api.trial(job_id)
            chosen.append(trial["batch_size"])
            for epoch in epochs_of(found[trial["batch_size"]], 10):
                said = api.report(
                    trial,
                    time=epoch.time,
                    energy=epoch.energy,
                    metric=epoch.metric,
                    current_epoch=epoch.number,
                ).json()
                if said["stop_train"]:
                    break
            converged += said["converged"]
            spent += (epoch.time, epoch.energy)
            api.end(trial)
    assert wanted.last == chosen[-10:]
    assert wanted.spent == pytest.approx(tuple(spent))


def test_an_export_of_a_job_is_an_input(ask: Run, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "resnet.csv"
    assert ask("jobs", "export", "resnet-learned", "-o", str(file)).code == 0
    done = run(
        "simulate", str(file), "--default", "16", "--max-power", "200", "--recurrences", "20", "--json"
    )
    assert (done.code, done.err) == (0, "")
    outcome = json.loads(done.out)
    assert (outcome["workload"], outcome["default_batch_size"], outcome["stuck"]) == ("resnet-learned", 16, 0)
    assert set(outcome["chosen"]) <= {"8", "16", "32"}


def test_the_recorded_traces_are_an_input_and_rest_in_the_best_batch_size(
    run: Run, shared: Path, tmp_path: Path
) -> None:
    workloads = recorded(shared / "traces")
    with (tmp_path / "runs.csv").open("w") as file:
        write(workloads, file)
    for workload, kept in zip(workloads, read(tmp_path / "runs.csv", Overrides()), strict=True):
        assert kept.name == workload.title
        for size in workload.batch_sizes:
            assert kept.expected(size) == pytest.approx(tuple(workload.expected(size)))
        assert best_of(kept, PLAN) == workload.best_batch_size(PLAN.eta_knob)
    done = run("simulate", str(tmp_path / "runs.csv"), "--seeds", "2", "--recurrences", "30", "--json")
    assert (done.code, done.err) == (0, "")
    outcomes = [json.loads(line) for line in done.out.splitlines()]
    assert len(outcomes) == len(workloads)
    for outcome, workload in zip(outcomes, workloads, strict=True):
        chosen = int(next(iter(outcome["chosen"])))
        best = workload.cost(workload.expected(workload.best_batch_size(0.5)), 0.5)
        assert workload.cost(workload.expected(chosen), 0.5) < 1.25 * best
        assert outcome["regret"]["low"] <= outcome["regret"]["median"] <= outcome["regret"]["high"]
    table = run("simulate", str(tmp_path / "runs.csv"), "--seeds", "1", "--recurrences", "5")
    assert len(table.out.splitlines()) == len(workloads) + 2
