"""The scripts that complete commands, in the shells themselves."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.server import Server
from tests.service.commands.conftest import LEARNED, PROGRAM, WALKING, Run

BASH = """
eval "$(batchbandit completion bash)"
complete -p batchbandit | grep -q _batchbandit_completion || exit 9
COMP_WORDS=({words}) COMP_CWORD={place}
_batchbandit_completion batchbandit
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
autoload -U compinit && compinit -u
eval "$(batchbandit completion zsh)"
whence -w _batchbandit_completion | grep -q function || exit 9
compadd() {{ print -rl -- ${{(P)@[-1]}} }}
_describe() {{ local -a given; given=("${{(@P)3}}"); print -rl -- ${{given%%:*}} }}
words=({words}) CURRENT={number}
_batchbandit_completion
"""
FISH = """
batchbandit completion fish | source
complete -C "{line}" | string replace -r "\\t.*" ""; true
"""


def completed(shell: str, script: str, url: str) -> list[str]:
    """Return what a shell proposes."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    environment = os.environ | {
        "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
        "BATCHBANDIT_URL": url,
    }
    options = {"bash": ["--norc", "-c"], "zsh": ["-f", "-c"], "fish": ["--no-config", "-c"]}
    done = subprocess.run(
        [program, *options[shell], script],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_names_of_jobs(shell: str, jobs_server: Server) -> None:
    def proposed(*words: str) -> list[str]:
        line = ("batchbandit", *words)
        quoted = " ".join(f"'{word}'" for word in line)
        script = {"bash": BASH, "zsh": ZSH, "fish": FISH}[shell].format(
            words=quoted, place=len(words), number=len(line), line=" ".join(line)
        )
        return completed(shell, script, jobs_server.url)

    assert proposed("jobs", "re") == ["reset", "resume"]
    assert {LEARNED, WALKING} <= set(proposed("jobs", "show", "resnet-"))


def test_options_and_their_words_are_completed_too() -> None:
    for words, place, wanted in (
        ("batchbandit jobs set --m", 3, "--max-epochs"),
        ("batchbandit jobs ls --trouble f", 4, "failing"),
    ):
        assert completed("bash", BASH.format(words=words, place=place), "http://127.0.0.1:1") == [wanted]


def test_names_are_not_waited_for_where_no_service_answers() -> None:
    script = BASH.format(words="batchbandit jobs show ''", place=3)
    assert completed("bash", script, "http://127.0.0.1:1") == []


def test_a_shell_that_is_not_known_is_a_usage_error(run: Run) -> None:
    assert run("completion", "tcsh").code == 2


def test_a_script_is_all_that_is_printed(run: Run, tmp_path: Path) -> None:
    done = run("completion", "bash")
    assert (done.code, done.err) == (0, "")
    script = tmp_path / "completion.bash"
    script.write_text(done.out)
    subprocess.run(["bash", "-n", script], check=True)  # noqa: S607  (whichever is installed)
