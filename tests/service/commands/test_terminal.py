"""What stands in a terminal: colour where it is wanted, no wider than it is, questions and progress."""

import json
import re
from pathlib import Path

import httpx
import pytest
from rich.cells import cell_len

from benchmarks.server import Server
from tests.service.commands.conftest import LEARNED, WALKING, Run
from tests.service.commands.terminals import in_terminal
from tests.service.talk import Api

STYLES = re.compile(r"\x1b\[[0-9;]*m")


def test_a_terminal_is_in_colour_and_arms_are_drawn_on_one_axis_that_grows_with_it(
    jobs_server: Server,
) -> None:
    drawn = {}
    for columns in (60, 100):
        seen = in_terminal("jobs", "show", LEARNED, "--url", jobs_server.url, columns=columns)
        assert seen.code == 0, seen.text
        assert STYLES.search(seen.text)
        lines = [STYLES.sub("", line) for line in seen.lines]
        assert max(map(cell_len, lines)) <= columns
        assert "\x1b" not in "".join(lines)
        rows = [line for line in lines if "●" in line]
        assert len(rows) == 3
        assert any("├" in row for row in rows)
        drawn[columns] = max(row.index("●") for row in rows) - min(row.index("●") for row in rows)
    assert drawn[100] > drawn[60] > 0


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize(
    ("command", "kept", "spare"),
    [(("jobs", "ls"), "trouble", "last activity"), (("trials", "ls", WALKING), "note", "started")],
)
def test_a_narrow_terminal_has_fewer_columns_and_none_of_them_is_cut(
    jobs_server: Server, columns: int, command: tuple[str, ...], kept: str, spare: str
) -> None:
    seen = in_terminal(*command, "--url", jobs_server.url, columns=columns, environment={"NO_COLOR": "1"})
    assert (seen.code, "\x1b" in seen.text) == (0, False)
    assert max(map(cell_len, seen.lines)) <= columns
    assert "…" not in seen.text
    assert kept in seen.text
    assert spare not in seen.text


def test_a_terminal_that_can_do_little_gets_no_styles(jobs_server: Server) -> None:
    seen = in_terminal("jobs", "show", LEARNED, "--url", jobs_server.url, environment={"TERM": "dumb"})
    assert (seen.code, "\x1b" in seen.text) == (0, False)


def test_a_pipe_gets_no_styles_and_nothing_is_cut(ask: Run) -> None:
    for command in (("jobs", "show", LEARNED), ("jobs", "ls"), ("trials", "ls", LEARNED)):
        done = ask(*command)
        assert "\x1b" not in done.out + done.err
        assert "…" not in done.out
    assert "last activity" in ask("jobs", "ls").out


def test_an_output_without_such_characters_gets_plain_ones(ask_program: Run) -> None:
    done = ask_program("jobs", "show", LEARNED, PYTHONIOENCODING="ascii")
    assert done.code == 0, done.err
    assert done.out.isascii()
    assert "\\u" not in done.out
    assert re.search(r"\|-*o-*\|", done.out)


def test_people_are_asked_before_something_is_gone(jobs_server: Server) -> None:
    with httpx.Client(base_url=jobs_server.url, trust_env=False) as http:
        Api(http).register(job_id="asked-about", job_id_prefix="asked")
        command = ("jobs", "rm", "asked-about", "--url", jobs_server.url)
        for typed in ("n\n", "\x04"):
            kept = in_terminal(*command, typed=typed)
            assert kept.code == 4
            assert "Delete job 'asked-about' and all of its trials?" in kept.text
            assert "nothing was done" in kept.text
        assert http.get("/api/v1/jobs/asked-about").status_code == 200
        assert in_terminal(*command, typed="y\n").code == 0
        assert http.get("/api/v1/jobs/asked-about").status_code == 404


def test_progress_stands_on_standard_error_of_a_terminal_alone(run: Run, tmp_path: Path) -> None:
    runs = tmp_path / "runs.csv"
    runs.write_text(
        "batch_size,epochs,seconds_per_epoch,joules_per_epoch,default_batch_size,max_power\n"
        "16,10,100,20000,16,300\n32,8,90,19000,16,300\n"
    )
    seen = in_terminal("simulate", str(runs), "--seeds", "3", piped=True)
    assert (seen.code, "Simulating" in seen.text) == (0, True)
    piped = run("simulate", str(runs), "--seeds", "3", "--json")
    assert (piped.code, piped.err) == (0, "")
    workload, total, *_ = map(json.loads, piped.out.splitlines())
    assert (workload["workload"], "workload" in total) == ("all runs", False)
