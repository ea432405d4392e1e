"""Static files: where they are, how long they are kept, and that they come with the package."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from service.dashboard.assets import Assets, media_type_of
from tests.conftest import ROOT

DASHBOARD = ROOT / "service" / "dashboard"
TYPES = {"text/css", "text/javascript", "image/svg+xml"}


@pytest.fixture(scope="module")
def assets() -> Assets:
    return Assets()


def test_files_are_kept_for_good_under_what_they_hold(visitor: httpx.Client, assets: Assets) -> None:
    page = visitor.get("/nothing").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert assets.address("style.css") in addresses
    for address in addresses:
        answer = visitor.get(address, headers={"Accept": "*/*"})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"].split(";")[0] in TYPES
        assert visitor.head(address).headers["content-length"] == str(len(answer.content))


def test_another_releases_address_is_answered_and_not_kept(visitor: httpx.Client) -> None:
    answer = visitor.get("/static/0123456789abcdef/style.css")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["no.css", "..", "%2e%2e%2fpages.py", "..%2fpages.py", "style.css%00", ""])
def test_there_are_no_other_files(visitor: httpx.Client, name: str) -> None:
    assert visitor.get(f"/static/0/{name}", headers={"Accept": "*/*"}).status_code == 404


def test_a_page_names_no_file_that_is_not_there(assets: Assets) -> None:
    with pytest.raises(KeyError):
        assets.address("nothing.css")


def test_every_file_has_a_type_that_a_browser_takes() -> None:
    types = {media_type_of(path.name).split(";")[0] for path in (DASHBOARD / "static").iterdir()}
    assert types <= TYPES


def test_styles_and_scripts_need_nothing_from_elsewhere() -> None:
    for path in (DASHBOARD / "static").iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text), path.name


def test_scripts_are_scripts() -> None:
    node = shutil.which("node")
    if node is None:  # the browser's own tests run them
        pytest.skip("node is not here to check them")
    for path in (DASHBOARD / "static").glob("*.js"):
        checked = subprocess.run([node, "--check", path], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_templates_and_files_come_with_the_package(tmp_path: Path) -> None:
    source = tmp_path / "source"
    unneeded = shutil.ignore_patterns(".*", "build", "tests", "benchmarks", "*.so", "*.egg-info", "*.c")
    shutil.copytree(ROOT, source, ignore=unneeded)
    # What is compiled is of no matter here, and takes a minute.
    (source / "setup.py").write_text("from setuptools import setup\nsetup()\n")
    build = "from setuptools.build_meta import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=source, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if name.startswith("service/dashboard/")}
    wanted = {
        str(path.relative_to(ROOT))
        for path in DASHBOARD.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == wanted
