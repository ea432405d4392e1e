"""Exports are whole or not there."""

import csv
import json
import os
import subprocess
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from benchmarks.server import Server
from tests.service.commands.conftest import LEARNED, PROGRAM, Run
from tests.service.commands.test_outcomes import answering


def test_an_export_is_what_the_service_sends(ask: Run, jobs_server: Server, tmp_path: Path) -> None:
    with httpx.Client(base_url=jobs_server.url, trust_env=False) as http:
        wanted = http.get(f"/api/v1/jobs/{LEARNED}/export", params={"format": "csv"}).text
    file = tmp_path / "trials.csv"
    done = ask("jobs", "export", LEARNED, "-o", str(file))
    assert (done.code, done.out) == (0, "")
    assert file.read_bytes().decode() == wanted
    assert ask("jobs", "export", LEARNED).out.splitlines() == wanted.splitlines()
    assert len(list(csv.DictReader(wanted.splitlines()))) == 12


def test_every_format_has_all_trials(ask: Run, tmp_path: Path) -> None:
    lines = ask("jobs", "export", LEARNED, "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["trial_number"] for line in lines] == list(range(1, 13))
    file = tmp_path / "trials.parquet"
    done = ask("jobs", "export", LEARNED, "--format", "parquet", "-o", str(file), "--json")
    assert json.loads(done.out) == {"file": str(file), "bytes": file.stat().st_size}
    assert pq.read_table(file)["trial_number"].to_pylist() == list(range(1, 13))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf,\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf,",
        b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_an_export_that_is_broken_off_leaves_what_was_there(run: Run, tmp_path: Path, answer: bytes) -> None:
    file = tmp_path / "trials.csv"
    for before in (None, "before"):
        if before is not None:
            file.write_text(before)
        with answering(answer) as url:
            done = run("jobs", "export", "job", "--url", url, "-o", str(file))
        assert (done.code, done.out) == (6, "")
        assert (file.read_text() if file.exists() else None) == before
        assert list(tmp_path.iterdir()) == ([file] if before else [])


def test_a_file_is_replaced_with_its_mode_kept_and_a_link_followed(ask: Run, tmp_path: Path) -> None:
    file, link = tmp_path / "trials.csv", tmp_path / "link.csv"
    file.write_text("before")
    file.chmod(0o640)
    link.symlink_to(file)
    assert ask("jobs", "export", LEARNED, "-o", str(link)).code == 0
    assert link.is_symlink()
    assert file.read_text().startswith("job_id,")
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_written_is_refused(ask: Run, tmp_path: Path) -> None:
    done = ask("jobs", "export", LEARNED, "-o", str(tmp_path / "none" / "trials.csv"))
    assert (done.code, done.out) == (2, "")
    assert "No such file or directory" in done.err
    assert ask("jobs", "export", LEARNED, "--json").code == 2


def test_what_is_no_file_is_written_to_as_it_is(jobs_server: Server, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:  # noqa: S607
        subprocess.run(
            [PROGRAM, "jobs", "export", LEARNED, "--url", jobs_server.url, "-o", pipe], check=True, timeout=60
        )
        out, _ = reader.communicate(timeout=10)
    assert out.startswith("job_id,")
    assert pipe.is_fifo()
