"""Files of recorded runs."""

from pathlib import Path

import pytest

from service.simulation.recordings import PARTS, Overrides, read
from service.simulation.workloads import Run

SAID = Overrides(default_batch_size=16, max_power=100.0)


@pytest.mark.parametrize(("epochs", "parts"), [("4", 4), ("", PARTS)])
def test_a_run_of_an_export_is_judged_after_each_of_its_epochs_where_they_are_known(
    tmp_path: Path, epochs: str, parts: int
) -> None:
    file = tmp_path / "trials.csv"
    file.write_text(
        "job_id,batch_size,status,time,energy,cost,converged,epochs\r\n"
        f"nightly,16,Succeeded,40.0,2000.0,3000.0,true,{epochs}\r\n"
        f"nightly,32,Succeeded,80.0,4000.0,6000.0,false,{epochs}\r\n"
        "nightly,32,Failed,,,,,\r\n"
    )
    [workload] = read(file, SAID)
    assert workload.goal.max_epochs == parts
    assert workload.runs == {
        16: [Run(40 / parts, 2000 / parts, (*[0.0] * (parts - 1), 1.0))],
        32: [Run(80 / parts, 4000 / parts, (0.0,) * parts)],
    }
