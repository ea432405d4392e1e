"""Inputs made by machine, in short: the recorded corpus, and sequences held against the protocol."""

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from benchmarks.server import Server, running_server
from tests.conftest import ROOT
from tests.fuzz.counts import Counts
from tests.fuzz.decoding import try_input
from tests.fuzz.machine import drive
from tests.service.tables import open_tables

CORPUS = sorted((ROOT / "tests" / "corpus").iterdir())
KINDS = {
    "job": b"0",
    "report": b"1",
    "trial": b"2",
    "suggestions": b"3",
    "reports": b"4",
    "query": b"5",
    "begin": b"6",
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_recorded_inputs_are_taken_or_refused(kind: bytes) -> None:
    inputs = [data for data in map(Path.read_bytes, CORPUS) if data[:1] == kind]
    assert {try_input(data) for data in inputs} == {HTTPStatus.OK, HTTPStatus.UNPROCESSABLE_ENTITY}


@pytest.fixture
def own_server() -> Iterator[Server]:
    """Return a server whose tables nobody else fills."""
    with running_server() as running:
        yield running


def test_random_sequences_are_answered_as_the_protocol_says(own_server: Server) -> None:
    counts = Counts("sequences")
    with (
        httpx.Client(base_url=own_server.url, timeout=30, trust_env=False) as client,
        open_tables(own_server.database_url) as opened,
    ):
        drive(client, opened, counts, inputs=200)
    assert counts.inputs >= 200
