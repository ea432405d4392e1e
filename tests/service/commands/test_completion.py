"""The scripts that complete commands, in the shells themselves."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from benchmarks.server import Server
from tests.service.commands.conftest import LEARNED, PROGRAM, WALKING, Run
from tests.service.talk import Api

NOWHERE = "http://127.0.0.1:1"
BASH = """
. "{script}"
complete -p batchbandit | grep -q _batchbandit_completion || exit 9
COMP_WORDS=({words}) COMP_CWORD=3
_batchbandit_completion batchbandit
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
autoload -U compinit && compinit -u
. "{script}"
whence -w _batchbandit_completion | grep -q function || exit 9
compadd() {{ print -rl -- ${{(P)@[-1]}} }}
_describe() {{ local -a given; given=("${{(@P)3}}"); print -rl -- ${{given%%:*}} }}
words=({words}) CURRENT=4
_batchbandit_completion
"""
FISH = """
source "{script}"
complete -C "{words}" | string replace -r "\\t.*" ""; true
"""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_names_of_jobs(run: Run, shell: str, jobs_server: Server, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    printed = run("completion", shell)
    assert (printed.code, printed.err) == (0, "")
    script = tmp_path / "script"
    script.write_text(printed.out)
    words = ("batchbandit", "jobs", "show", "resnet-")
    options = {"bash": ["--norc", "-c"], "zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}
    done = subprocess.run(
        [
            program,
            *options[shell],
            {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(script=script, words=" ".join(words)),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ
        | {
            "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
            "BATCHBANDIT_URL": jobs_server.url,
        },
    )
    assert done.returncode == 0, done.stderr
    assert {LEARNED, WALKING} <= set(done.stdout.splitlines())


def proposed(run: Run, url: str, *words: str) -> list[str]:
    """Return what the program proposes to bash for the last of some words."""
    line = {"COMP_WORDS": shlex.join(["batchbandit", *words]), "COMP_CWORD": str(len(words))}
    done = run(_BATCHBANDIT_COMPLETE="bash_complete", BATCHBANDIT_URL=url, **line)
    assert done.err == ""
    return [proposal.partition(",")[2] for proposal in done.out.splitlines() if proposal]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["jobs", "re"], ["reset", "resume"]),
        (["jobs", "set", "--m"], ["--max-epochs"]),
        (["jobs", "ls", "--trouble", "f"], ["failing"]),
    ],
)
def test_commands_options_and_words_are_completed(run: Run, words: list[str], wanted: list[str]) -> None:
    assert proposed(run, NOWHERE, *words) == wanted


def test_a_name_that_a_shell_would_act_upon_is_not_proposed(run: Run, jobs_server: Server) -> None:
    name = "completed;touch x"
    with httpx.Client(base_url=jobs_server.url, trust_env=False) as http:
        Api(http).register(job_id=name, job_id_prefix="completed")
        Api(http).register(job_id="completed-well", job_id_prefix="completed")
        assert proposed(run, jobs_server.url, "jobs", "show", "completed") == ["completed-well"]
        for job_id in (name, "completed-well"):
            Api(http).delete(job_id)


def test_names_are_not_waited_for_where_no_service_answers(run: Run) -> None:
    assert proposed(run, NOWHERE, "jobs", "show", "") == []


def test_a_shell_that_is_not_known_is_a_usage_error(run: Run) -> None:
    assert run("completion", "tcsh").code == 2
