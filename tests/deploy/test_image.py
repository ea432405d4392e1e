"""The image is built as it should be, as far as its file tells."""

import json
import subprocess
import tomllib
from pathlib import Path

from tests.conftest import ROOT
from tests.deploy.programs import DEPLOY, program

DOCKERFILE = DEPLOY / "Dockerfile"
# Its releases differ from base to base; nothing of that stage but what was compiled is kept.
ACCEPTED = ["DL3008"]


def problems(dockerfile: str) -> set[str]:
    """Return what hadolint has against a Dockerfile."""
    rules = [argument for rule in ACCEPTED for argument in ("--ignore", rule)]
    command = [program("hadolint"), "--no-fail", "--format", "json", *rules, "-"]
    found = subprocess.run(command, check=True, capture_output=True, text=True, input=dockerfile)
    return {problem["code"] for problem in json.loads(found.stdout)}


def instructions(stage: int) -> list[tuple[str, str]]:
    """Return the instructions of a stage, each in one line."""
    joined = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    starts = [place for place, line in enumerate(lines) if line.startswith("FROM")] + [len(lines)]
    of_stage = lines[starts[stage] : starts[stage + 1]]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in of_stage)]


def test_hadolint_has_nothing_against_the_dockerfile() -> None:
    assert problems(DOCKERFILE.read_text()) == set()
    assert "DL3004" in problems(DOCKERFILE.read_text().replace("RUN apt-get", "RUN sudo apt-get"))


def test_the_image_is_of_this_release() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (labels,) = (rest for word, rest in instructions(1) if word == "LABEL")
    assert f'version="{version}"' in labels


def test_the_last_stage_installs_nothing_and_is_not_root() -> None:
    told = instructions(1)
    assert not any("pip" in rest or "apt" in rest for word, rest in told if word == "RUN")
    assert [rest for word, rest in told if word == "USER"] == ["10001:10001"]
    assert ("STOPSIGNAL", "SIGTERM") in told
    assert ("CMD", '["serve"]') in told


def test_the_build_sees_what_it_copies_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    seen = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copies = [rest.split()[:-1] for stage in (0, 1) for word, rest in instructions(stage) if word == "COPY"]
    copied = {source for sources in copies if not sources[0].startswith("--from") for source in sources}
    assert lines[1] == "*"
    assert seen == copied
    assert all(Path(ROOT / source).exists() for source in copied)
