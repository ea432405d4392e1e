"""Every page's blocks run, in their order, and print what the page shows."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, Block, blocks_of
from tests.docs.reference_server import write_reference
from tests.docs.session import Session
from tests.skips import skip_without

ELSEWHERE = "docs/quickstart.md"
"""The page that make test runs."""
RUN = {
    page: found
    for page in PAGES
    if page != ELSEWHERE and (found := [block for block in blocks_of(page) if block.is_run])
}


@pytest.fixture
def session(tmp_path: Path, new_postgres_url: Callable[[], str]) -> Iterator[Session]:
    """Return a shell in a folder of its own, with what pages expect there and a service beside it."""
    for program in ("curl", "sqlite3"):
        if shutil.which(program) is None:
            skip_without(f"{program} is not installed")
    write_reference(tmp_path / "zeus.db", "resnet-nightly")
    write_reference(tmp_path / "zeus-running.db", "bert-weekly")
    opened = Session(tmp_path, new_postgres_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("page", RUN)
def test_the_blocks_of_a_page_run_and_print_what_it_shows(page: str, session: Session) -> None:
    for block in RUN[page]:
        run(session, block)


def run(session: Session, block: Block) -> None:
    """Run a block; say of one that fails where it is."""
    try:
        session.run(block)
    except AssertionError as error:
        error.add_note(f"{block}\n{block.text}")
        raise
