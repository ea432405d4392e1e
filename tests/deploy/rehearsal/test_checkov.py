"""Checkov, who looks for what is unwise where all is allowed, finds what was decided so and nothing else."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.deploy.manifests import BUILT, copied
from tests.deploy.programs import DEPLOY, program, said
from tests.skips import skip_without

CHECKOV = ROOT / "build" / "checkov" / "bin" / "checkov"
DECIDED = {
    "CKV_DOCKER_7": "the base is a variable, whose value has a tag",
    "CKV_K8S_8": "the console serves nothing that could be asked whether it lives",
    "CKV_K8S_9": "nor whether it is ready",
    "CKV_K8S_11": "a limit of the processor's time slows a service down that is within its node's means",
    "CKV_K8S_15": "a release has a tag of its own, whose image does not change",
    "CKV_K8S_21": "kubectl --namespace says which",
    "CKV_K8S_35": "asyncpg reads a file of passwords only if its group cannot, and a Secret has one that can",
    "CKV_K8S_43": "the image is its builder's, in a registry of theirs",
}


def found(framework: str, file: Path) -> set[str]:
    """Return the rules that a file breaks."""
    if not CHECKOV.exists():
        skip_without("Checkov is not installed, as make test-deploy does")
    options = ["--quiet", "--compact", "--skip-download", "--soft-fail", "--output", "json"]
    command = [str(CHECKOV), *options, "--framework", framework, "--file", str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 0
    return {check["check_id"] for check in report["results"]["failed_checks"]}


def test_the_dockerfile_breaks_no_rule_that_was_not_decided(tmp_path: Path) -> None:
    assert found("dockerfile", DEPLOY / "Dockerfile") <= set(DECIDED)
    (tmp_path / "Dockerfile").write_text((DEPLOY / "Dockerfile").read_text().replace("USER 10001:10001", ""))
    assert "CKV_DOCKER_3" in found("dockerfile", tmp_path / "Dockerfile")


@pytest.mark.parametrize("overlay", ["overlays/postgres", "overlays/sqlite"])
def test_the_manifests_break_no_rule_that_was_not_decided(overlay: str, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    # Together, as they are in a cluster: a network policy is for pods of another kustomization too.
    parts = [
        said(program("kubectl"), "kustomize", folder / name) for name in BUILT if name.startswith(overlay)
    ]
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text("\n---\n".join(parts))
    assert found("kubernetes", rendered) <= set(DECIDED)
