"""What kustomize makes of the manifests."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.programs import DEPLOY, program, said

Manifest = dict[str, Any]

KUBERNETES = DEPLOY / "kubernetes"
BUILT = (
    "overlays/postgres",
    "overlays/postgres/migration",
    "overlays/postgres/console",
    "overlays/sqlite",
    "overlays/sqlite/console",
)


def copied(folder: Path) -> Path:
    """Copy the manifests into ``folder`` with a password, as who deploys them has it; return where."""
    copy = folder / "kubernetes"
    shutil.copytree(KUBERNETES, copy, ignore=shutil.ignore_patterns("database.env"))
    settings = copy / "overlays" / "postgres" / "settings"
    shutil.copy(settings / "database.env.example", settings / "database.env")
    return copy


def built(kustomization: Path) -> list[Manifest]:
    """Return the objects of a kustomization."""
    return list(yaml.safe_load_all(said(program("kubectl"), "kustomize", kustomization)))


def of_kind(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the only object of a kind."""
    (found,) = (manifest for manifest in manifests if manifest["kind"] == kind)
    return found


def pods(manifests: list[Manifest]) -> list[Manifest]:
    """Return the specifications of the pods that objects stand for."""
    found = []
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if manifest["kind"] in {"Deployment", "Job", "CronJob"}:
            found.append(spec["template"]["spec"])
        elif manifest["kind"] == "Pod":
            found.append(spec)
    return found
