"""The client as it is installed: small, typed, quick to import, and for Python 3.9."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import batchbandit

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "client"
OLDEST = (3, 9)
HEAVY = ("amdsmi", "httpx", "keras", "lightning", "numpy", "pynvml", "tensorflow", "torch", "transformers")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the client's wheel, built from a copy without what earlier builds have left."""
    source, built = tmp_path_factory.mktemp("source") / "client", tmp_path_factory.mktemp("built")
    left = shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(CLIENT, source, ignore=left)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--wheel-dir", built, source], check=True)
    (path,) = built.iterdir()
    return path


def modules() -> list[Path]:
    """Return the client's modules."""
    return sorted((CLIENT / "src").rglob("*.py"))


def loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a new interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(said.stdout.split())


def test_the_wheel_is_pure_typed_and_has_every_module(wheel: Path) -> None:
    assert wheel.name == f"batchbandit-{batchbandit.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    code = {str(path.relative_to(CLIENT / "src")) for path in modules()}
    assert {name for name in names if ".dist-info/" not in name} == code | {"batchbandit/py.typed"}


def test_the_wheel_needs_two_packages_and_an_old_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    needs = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert sorted(need.split(">=")[0] for need in needs) == ["httpx", "nvidia-ml-py"]
    assert metadata["Requires-Python"] == ">=3.9"


@pytest.mark.parametrize("statement", ["import batchbandit", "from batchbandit import *"])
def test_the_import_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) & set(HEAVY) == set()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(CLIENT / "src")))
def test_every_module_is_of_the_oldest_python_and_postpones_annotations(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=OLDEST)
    futures = [
        name.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for name in node.names
    ]
    has_code = len(tree.body) > 1
    assert futures == ["annotations"] * has_code


def test_every_public_name_is_there_and_documented() -> None:
    assert sorted(batchbandit.__all__) == batchbandit.__all__
    for name in batchbandit.__all__:
        thing = getattr(batchbandit, name)
        assert name == "__version__" or thing.__doc__, name
