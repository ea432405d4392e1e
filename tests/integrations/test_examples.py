"""The examples train real models against a real service."""

import re
import sqlite3
from pathlib import Path

import pytest

from benchmarks.server import Server
from tests.integrations.conftest import ROOT, Run

EXAMPLES = ROOT / "client" / "examples"
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ALONE: tuple[str, ...] = ()
HOW = {
    "pytorch_digits.py": (ALONE, ALONE),
    "lightning_digits.py": (ALONE, TORCHRUN),
    "transformers_digits.py": (ALONE, TORCHRUN),
    "keras_digits.py": (ALONE, ALONE),
    "distributed_pytorch.py": (TORCHRUN, TORCHRUN),
}
"""How each example is started at its two recurrences."""
# A machine that is busier at the second recurrence may let it cost more than twice the first. Processes may
# end their lines at once, so that an outcome does not end one.
OUTCOME = re.compile(
    r"Batch size (\d+), converged: (True|False)\. (Train succeeded|Batch Size\(\d+\) exceeded the cost)"
)


def trials(database: Path, job: str) -> list[tuple[str, int, int]]:
    """Return the status, the batch size and whether it converged of each trial of a job."""
    connection = sqlite3.connect(database)
    try:
        question = "SELECT status, batch_size, converged FROM Trial WHERE job_id = ? ORDER BY trial_number"
        return connection.execute(question, (job,)).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize("example", HOW)
def test_an_example_trains_and_the_service_knows_what_came_of_it(
    example: str, server: Server, run: Run
) -> None:
    said = []
    for launcher in HOW[example]:
        printed = run("python", *launcher, EXAMPLES / example, server.url)
        outcomes = OUTCOME.findall(printed)
        assert len(outcomes) == (2 if launcher == TORCHRUN else 1), printed
        assert len(set(outcomes)) == 1, printed
        said.append(outcomes[0])
    # The first exploration has the default batch size, the next one the size below it.
    assert said[0] == ("32", "True", "Train succeeded")
    assert said[1][0] == "16"
    job = example.split("_", maxsplit=1)[0] + "-digits"
    kept = [("Succeeded", int(size), int(converged == "True")) for size, converged, _ in said]
    assert trials(server.database, job) == kept


def test_every_example_of_a_framework_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(HOW)
