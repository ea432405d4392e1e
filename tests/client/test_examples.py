"""What the user guide shows runs as it stands, against a real service."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.client.conftest import Server

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "client/README.md", "docs/client.md", "docs/power.md")
ADDRESS = re.compile(r"http://(?:bandit|127\.0\.0\.1):8000")
JOB = "resnet-nightly"
FRAMEWORKS = re.compile(
    r"^\s*(?:import|from) (?:keras|lightning|tensorflow|torch|transformers)\b", re.MULTILINE
)
# What a reader has: a loader, data, functions that train and validate, and for some snippets a job.
STAND_INS = f"""
import itertools
import batchbandit

class DataLoader:
    def __init__(self, data, batch_size):
        assert batch_size in (32, 64, 128, 256)

    def __iter__(self):
        return iter([None, None])

data = loader = monitor = None
metrics = itertools.count(0.5, 0.2)
train = lambda loader: None
validate = lambda: next(metrics)
job = batchbandit.JobSpec(
    job_id="{JOB}", batch_sizes=[32, 64, 128, 256], default_batch_size=128, target_metric=0.75, max_epochs=90
)
"""


def snippets() -> list[tuple[str, str]]:
    """Return the Python snippets of the documents, each with a name."""
    found = []
    for document in DOCUMENTS:
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.DOTALL)
        found += [(f"{document}-{number}", block) for number, block in enumerate(blocks, 1)]
    return found


SNIPPETS = dict(snippets())


def statuses(database: Path, job_id: str) -> list[str]:
    """Return how the trials of a job stand."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT status FROM Trial WHERE job_id = ?", [job_id]).fetchall()
    finally:
        connection.close()
    return [status for (status,) in rows]


@pytest.mark.parametrize("name", SNIPPETS)
def test_every_snippet_is_python(name: str) -> None:
    compile(SNIPPETS[name], name, "exec")


@pytest.mark.parametrize("name", [name for name in SNIPPETS if not FRAMEWORKS.search(SNIPPETS[name])])
def test_every_snippet_runs_and_its_training_succeeds(name: str, server: Server) -> None:
    job_id = re.sub(r"\W+", "-", name)
    script = ADDRESS.sub(server.url, f"{STAND_INS}{SNIPPETS[name]}").replace(JOB, job_id)
    command = [sys.executable, "-W", "error", "-c", script]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, env=dict(os.environ))
    assert ran.returncode == 0, ran.stderr
    expected = ["Succeeded"] if ADDRESS.search(SNIPPETS[name]) else []
    assert statuses(server.database, job_id) == expected


def test_readmes_and_guide_show_the_same_form_first() -> None:
    forms = set()
    for document in DOCUMENTS[:3]:
        without_comments = re.sub(r"  #.*", "", SNIPPETS[f"{document}-1"])
        forms.add(ADDRESS.sub("ADDRESS", without_comments))
    (form,) = forms
    assert 'with batchbandit.trial("ADDRESS", job) as trial:' in form
