"""The client's examples for schedulers are what the schedulers take."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob
from yamllint import linter
from yamllint.config import YamlLintConfig

from tests.conftest import ROOT

BIN = Path(sys.executable).parent
EXAMPLES = ROOT / "client" / "examples"
SLURM = EXAMPLES / "slurm" / "train.sbatch"
AIRFLOW = EXAMPLES / "airflow" / "train.py"
KUBERNETES = EXAMPLES / "kubernetes" / "train.yaml"
KUBEFLOW = EXAMPLES / "kubeflow" / "train.yaml"
STYLE = YamlLintConfig("{extends: default, rules: {line-length: {max: 120}}}")
# Airflow in an environment of its own, which takes a minute to install: make test-airflow does.
AIRFLOW_ENVIRONMENT = ROOT / "build" / "airflow"
AIRFLOW_REQUIREMENTS = (
    "apache-airflow-task-sdk==1.3.2",
    "apache-airflow-providers-cncf-kubernetes==10.25.0",
)
DESCRIBE = """
import runpy, sys
dag = runpy.run_path(sys.argv[1])["dag"]
print(dag.dag_id, dag.max_active_runs)
print(*(f"{task.task_type}:{task.termination_grace_period}" for task in dag.tasks))
"""


def run(*command: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a linter, which says on standard output what is wrong."""
    return subprocess.run(command, check=False, capture_output=True, text=True, input=given)


def shellcheck(script: str) -> str:
    """Return what ShellCheck has against a script."""
    return run(BIN / "shellcheck", "-", given=script).stdout


def airflow_rules(source: str) -> str:
    """Return what ruff's rules for Airflow 3 have against a file."""
    rules = ("check", "--isolated", "--preview", "--select", "AIR", "--quiet")
    return run(BIN / "ruff", *rules, "--stdin-filename", "dag.py", "-", given=source).stdout


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a manifest."""
    return list(yaml.safe_load_all(path.read_text()))


def as_kubeflow_reads(job: dict[str, Any]) -> dict[str, Any]:
    """Return what is left of a training job once its API's models have read it."""
    read: dict[str, Any] = TrainerV1alpha1TrainJob.from_dict(job).to_dict()
    return read


def options(script: str) -> dict[str, str]:
    """Return what a script asks of Slurm."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(.*))?$", script, re.MULTILINE))


def test_the_slurm_script_is_clean() -> None:
    assert shellcheck(SLURM.read_text()) == ""
    assert "SC2086" in shellcheck(SLURM.read_text().replace('"$SLURM_NNODES"', "$SLURM_NNODES"))


def test_slurm_tells_the_training_before_it_kills_and_starts_it_again() -> None:
    asked = options(SLURM.read_text())
    assert asked["signal"] == "TERM@60"
    assert "requeue" in asked
    # Slurm reads its options up to the first command.
    assert SLURM.read_text().rindex("#SBATCH") < SLURM.read_text().index("set -euo")


@pytest.mark.parametrize("manifest", [KUBERNETES, KUBEFLOW], ids=lambda path: path.parent.name)
def test_manifests_are_clean(manifest: Path) -> None:
    assert [str(problem) for problem in linter.run(manifest.read_text(), STYLE)] == []


def test_kubernetes_takes_its_manifests() -> None:
    found = documents(KUBERNETES)
    for document in found:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    assert [document["kind"] for document in found] == ["Secret", "PersistentVolumeClaim", "CronJob"]
    found[2]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["terminationGraceSeconds"] = 60
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGraceSeconds"):
        kubernetes_validate.validate(found[2], kubernetes_validate.latest_version(), strict=True)


def test_kubeflow_takes_its_manifest_and_passes_nothing_over() -> None:
    (job,) = documents(KUBEFLOW)
    assert as_kubeflow_reads(job) == job
    assert as_kubeflow_reads(job | {"spec": job["spec"] | {"podTemplateOverrides": []}}) == job


def test_pods_have_what_the_client_needs() -> None:
    cron, job = documents(KUBERNETES)[2], documents(KUBEFLOW)[0]
    pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    jobs = job["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    patch = jobs[0]["template"]["spec"]["template"]["spec"]
    for variables, spec in ((pod["containers"][0]["env"], pod), (job["spec"]["trainer"]["env"], patch)):
        values = {variable["name"]: variable.get("value") for variable in variables}
        assert set(values) == {"BATCHBANDIT_URL", "BATCHBANDIT_TOKEN", "BATCHBANDIT_STATE_DIR"}
        assert values["BATCHBANDIT_TOKEN"] is None, "it comes from a secret"
        mounted = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        assert mounted[values["BATCHBANDIT_STATE_DIR"]] in {volume["name"] for volume in spec["volumes"]}
        assert spec["terminationGracePeriodSeconds"] >= 60


def test_the_airflow_dag_is_of_airflow_3() -> None:
    assert airflow_rules(AIRFLOW.read_text()) == ""
    assert "removed in Airflow 3" in airflow_rules(
        AIRFLOW.read_text().replace("schedule=", "schedule_interval=")
    )


def test_airflow_imports_its_dag(tmp_path: Path) -> None:
    python = AIRFLOW_ENVIRONMENT / "bin" / "python"
    if not (AIRFLOW_ENVIRONMENT / ".installed").exists():
        if not os.environ.get("BATCHBANDIT_AIRFLOW"):
            pytest.skip("Airflow is not installed, as make test-airflow does")
        subprocess.run([sys.executable, "-m", "venv", "--clear", AIRFLOW_ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *AIRFLOW_REQUIREMENTS], check=True)
        (AIRFLOW_ENVIRONMENT / ".installed").touch()
    described = subprocess.run(
        [python, "-W", "error::DeprecationWarning", "-c", DESCRIBE, AIRFLOW],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"AIRFLOW_HOME": str(tmp_path)},
    )
    assert described.stdout.split() == ["resnet-nightly", "1", "KubernetesPodOperator:60"], described.stderr
