"""Every block of the documentation is run, or says why not and is held against what can be known of it."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from service.cli import main
from service.dashboard.routes import routes as pages
from service.web.routes import Resource, routes
from tests.conftest import ROOT
from tests.docs.blocks import (
    DATA,
    PAGES,
    RUN,
    SHOWN,
    Block,
    blocks_of,
    fits,
    looks_like,
    scripts,
    steps_of,
    text_of,
)
from tests.docs.commands import INLINE, commands_in, flaw_of, words_of
from tests.docs.session import Session
from tests.test_docs import commands, metrics_given

BLOCKS = [block for page in PAGES for block in blocks_of(page)]
SOURCES = ("service", "client/src", "tests", "benchmarks", "setup.py", "deploy", "client/examples")
"""Where what the documentation names may be read."""


def test_every_block_is_run_or_says_why_not_or_only_shows() -> None:
    assert [str(block) for block in BLOCKS if block.language not in RUN | DATA | SHOWN] == []
    told = [block for block in BLOCKS if block.reason is not None]
    assert [str(block) for block in BLOCKS if block.language in DATA and block not in told] == []
    shown = [block for block in BLOCKS if block.language in SHOWN and block not in told]
    run = [block for block in BLOCKS if block.is_run]
    elsewhere = [block for block in BLOCKS if block.is_run_with_the_client and block not in told]
    assert len(run) + len(elsewhere) + len(told) + len(shown) == len(BLOCKS)


def test_a_reason_stands_before_a_block_and_nowhere_else() -> None:
    written = sum(text_of(page).count("<!-- not run:") for page in PAGES)
    assert written == sum(block.reason is not None for block in BLOCKS)


def test_every_script_is_clean_to_the_shell(tmp_path: Path) -> None:
    files = []
    for number, (block, script) in enumerate(scripts()):
        files.append(tmp_path / f"{number}-{block.page.replace('/', '-')}-{block.line}.sh")
        files[-1].write_text(f"#!/bin/bash\n{script}", encoding="utf-8")
    rules = [
        "--severity=warning",
        "--exclude=SC2034,SC2155,SC2164",
    ]  # what a page uses further down, and alone
    command: list[str | Path] = [Path(sys.executable).parent / "shellcheck", "--format=gcc", *rules, *files]
    assert subprocess.run(command, check=False, capture_output=True, text=True).stdout == ""


def test_every_command_in_a_script_is_one_that_there_is() -> None:
    found = [(str(block), words) for block, script in scripts() for words in commands_in(script)]
    assert [(where, flaw) for where, words in found if (flaw := flaw_of(words))] == []
    assert len(found) > len(PAGES)


def test_every_command_in_a_sentence_is_one_that_there_is() -> None:
    found = [
        (page, command) for page in PAGES for command in INLINE.findall(text_of(page)) if "|" not in command
    ]
    assert [(page, flaw) for page, command in found if (flaw := flaw_of(words_of(command)))] == []


def test_what_there_is_not_is_noticed() -> None:
    for line in (
        "make nothing",
        "batchbandit jbos ls",
        "batchbandit serve --prot 1",
        "python -m batchbandits",
    ):
        (words,) = commands_in(f"cat x | {line} | wc")
        assert flaw_of(words) is not None, line
        assert flaw_of(words_of(line)) is not None, line


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language in DATA | {"json", "python"}], ids=str
)
def test_every_block_can_be_read(block: Block) -> None:
    match block.language:
        case "json":
            json.loads(block.text)
        case "yaml":
            assert list(yaml.safe_load_all(block.text))
        case "toml":
            assert tomllib.loads(block.text)
        case "python":
            compile(block.text, str(block), "exec")


def named(pattern: str) -> dict[str, str]:
    """Return what documents name by a pattern, each with a page that does."""
    found: dict[str, str] = {}
    for page in set(PAGES) - {"CHANGELOG.md"}:  # which tells of what there was
        found |= dict.fromkeys(re.findall(pattern, text_of(page)), page)
    return found


def test_every_variable_is_one_that_is_read_and_no_other() -> None:
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for source in SOURCES
        for path in ([ROOT / source] if source.endswith(".py") else (ROOT / source).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    read = {name for text in texts for name in re.findall(r"\bBATCHBANDIT_[A-Z_]+\b", text)}
    asked = {
        option.envvar
        for command in commands(main).values()
        for option in command.params
        if isinstance(option.envvar, str)
    }
    documented = named(r"\bBATCHBANDIT_[A-Z_]+\b")
    assert documented.keys() - read == set()
    assert asked - documented.keys() == set()


def test_every_metric_in_a_sentence_is_one_that_there_is() -> None:
    told = named(r"\b(batchbandit_\w+)").keys() - {"batchbandit_version", "batchbandit_token"}
    given = metrics_given()
    assert [name for name in told if re.sub(r"_(total|bucket|sum|count)$", "", name) not in given] == []


def paths_served() -> list[tuple[frozenset[str], re.Pattern[str]]]:
    """Return the methods of each path that is served, with what matches it."""
    found = []
    for route in routes:
        if isinstance(route.endpoint, Resource):
            matched = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route.path_format))
            found.append((frozenset(route.endpoint.methods), re.compile(matched)))
    return found


def test_every_call_that_is_named_is_one_that_there_is() -> None:
    served = paths_served()
    calls = named(r"`([A-Z]+ /[^\s`?]*)")
    calls |= {
        f"GET {path}": page
        for path, page in named(r"`(/(?:api|jobs|healthz|readyz|metrics|openapi)[^\s`?]*)").items()
    }
    unknown = []
    for call, page in calls.items():
        method, path = call.split(" ", 1)
        is_served = any(paths.fullmatch(path) and method in methods for methods, paths in served)
        if not is_served and path not in {"/api/", "/api/v1"}:
            unknown.append((page, call))
    assert unknown == []


def test_every_address_in_a_script_is_one_that_there_is() -> None:
    found = [
        (str(block), path)
        for block, script in scripts()
        for path in re.findall(r"http://127\.0\.0\.1:8000(/[^\s'\"?#)]*)", script)
    ]
    served = paths_served()
    assert [each for each in found if not any(paths.fullmatch(each[1]) for _, paths in served)] == []
    assert found


def test_every_chart_of_the_dashboard_is_documented_and_no_other() -> None:
    charts = (ROOT / "service" / "dashboard" / "charts").glob("*.py")
    drawn = {
        title
        for path in charts
        for title in re.findall(r'^\s+title="([^"]+)"', path.read_text(), re.MULTILINE)
    }
    assert drawn
    assert set(re.findall(r"^\| `([^`/][^`]*)` ", text_of("docs/dashboard.md"), re.MULTILINE)) == drawn


def test_every_page_of_the_dashboard_is_documented_and_no_other() -> None:
    served = {
        route.path_format
        for route in pages
        if isinstance(route.endpoint, Resource) and "GET" in route.endpoint.methods
    }
    told = re.findall(r"^\| `(/[^`?]*)", text_of("docs/dashboard.md"), re.MULTILINE)
    assert {*told, "/static/{digest}/{name}"} == served


def test_what_is_printed_is_compared() -> None:
    block = Block("x", 1, "sh", "one\n# 1 ... 3\n\ntwo \\\n  three\nfour\n", None)
    assert [(step.commands, step.output) for step in steps_of(block)] == [
        ("one\n", "1 ... 3\n"),
        ("\ntwo \\\n  three\nfour\n", None),
    ]
    console = Block("x", 1, "console", "$ one \\\n  two\n1\n# 2\n$ three\n", None)
    assert [(step.commands, step.output) for step in steps_of(console)] == [
        ("one \\\n  two\n", "1\n# 2\n"),
        ("three\n", None),
    ]
    assert looks_like("1 ... 3\n", "1 2 3")
    assert not looks_like("1 ... 3", "1 2 4")
    assert not looks_like("1", "12")
    assert fits({"a": 1, "...": "..."}, {"a": 1, "b": 2})
    assert not fits({"a": 1}, {"a": 1, "b": 2})
    assert not fits({"a": 1, "...": "..."}, {"a": 2})
    assert fits([{"a": "..."}, "..."], [{"a": 3}, 4, 5])
    assert not fits([1], [1, 2])


def test_the_quick_start_runs_and_prints_what_it_shows(
    tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    session = Session(tmp_path, new_postgres_url)
    try:
        for block in blocks_of("docs/quickstart.md"):
            if block.is_run:
                session.run(block)
        for link in re.findall(r"<(http://[^>]+)>", text_of("docs/quickstart.md")):
            session.run(Block("x", 1, "sh", f"curl '{link}' | grep digits-nightly > shown\n", None))
        with pytest.raises(AssertionError, match="127"):
            session.run(Block("x", 1, "sh", "echo 127\n# 128\n", None))
        with pytest.raises(AssertionError):
            session.run(Block("x", 1, "sh", "false\n", None))
    finally:
        session.close()
