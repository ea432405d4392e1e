"""Migrations expand first and contract later: two releases serve one Postgres at a time."""

import asyncio
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from benchmarks.load import run_load
from benchmarks.server import Child, free_port, launch, running_server, stop
from tests.conftest import ROOT

EXPANSION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("Trial", sa.Column("note", sa.Text))
    op.create_table("Novelty", sa.Column("job_id", sa.VARCHAR(400), primary_key=True))
"""
CONTRACTION = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.drop_table("Novelty")
    op.execute("UPDATE \\"Compatibility\\" SET oldest_revision = '{before}'")
"""


def release(folder: Path, *migrations: str) -> Path:
    """Return a folder that holds this release with further migrations."""
    for package in ("core", "service"):
        # With what is compiled already, but for what another process just writes.
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("*.pyc.*"))
    versions = folder / "service/store/migrations/versions"
    for text in migrations:
        before = max(file.name[:4] for file in versions.glob("0*.py"))
        revision = f"{int(before) + 1:04}"
        (versions / f"{revision}_test.py").write_text(text.format(revision=revision, before=before))
    return folder


def upgrade(release: Path, database_url: str) -> None:
    """Run a release's upgrade."""
    # -c puts the folder it runs in before what is installed.
    program = "from service.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "db", "upgrade", "--database-url", database_url],
        check=False,
        capture_output=True,
        text=True,
        cwd=release,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "Upgraded" in done.stdout


def serve(release: Path, database_url: str, log: Path) -> Child:
    """Start a release's server."""
    port = free_port()
    program = f"import os; os.chdir({str(release)!r}); from service.cli import main; main()"
    options = ["--port", str(port), "--database-url", database_url]
    return launch([sys.executable, "-c", program, "serve", *options], port, log)


def failures(seconds: float, *servers: Child) -> dict[str, dict[str, int]]:
    """Put servers of one database under load; return the failed answers."""
    urls = [server.url for server in servers]
    result = asyncio.run(run_load(*urls, connections=16, jobs=4, seconds=seconds, warmup=0))
    assert result.total.requests > 10
    return {name: endpoint.errors for name, endpoint in result.endpoints.items() if endpoint.errors}


def test_replicas_of_two_releases_serve_one_database(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url()
    following = release(tmp_path / "following", EXPANSION)
    with running_server(url) as old:
        expanding = threading.Timer(1.0, upgrade, [following, url])
        expanding.start()
        assert failures(3, old) == {}, "the release before goes on while the tables are expanded"
        expanding.join()
        new = serve(following, url, tmp_path / "new.log")
        try:
            assert failures(1, old, new) == {}
            with running_server(url) as restarted:
                assert failures(1, restarted, new) == {}, "and it can be started again"
        finally:
            stop(new)


def test_a_release_that_the_tables_no_longer_fit_is_refused(
    new_postgres_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_url()
    with running_server(url):
        pass
    upgrade(release(tmp_path / "after-next", EXPANSION, CONTRACTION), url)
    program = str(Path(sys.executable).parent / "batchbandit")
    refused = subprocess.run(
        [program, "serve", "--port", "0", "--database-url", url],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert refused.returncode == 2
    assert "a newer release wrote it" in refused.stderr


def test_a_copied_release_is_the_one_that_runs(tmp_path: Path) -> None:
    copy = release(tmp_path / "copy")
    found = subprocess.run(
        [sys.executable, "-c", "import service; print(service.__file__)"],
        check=True,
        capture_output=True,
        text=True,
        cwd=copy,
    )
    assert Path(found.stdout.strip()).is_relative_to(copy)
