"""A training that recurs every night in a pod of its own, for Airflow 3 with its Kubernetes provider."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.secret import Secret
from airflow.sdk import DAG
from kubernetes.client import models

STATE = "batchbandit-state"
STATE_FOLDER = "/var/lib/batchbandit"

# The token and the volume claim are those of ../kubernetes/train.yaml.
with DAG(
    dag_id="resnet-nightly",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
) as dag:
    # Each attempt is a trial of its own. A pod that is cleared or times out ends its trial as preempted.
    KubernetesPodOperator(
        task_id="train",
        name="resnet-nightly",
        image="registry.example.org/resnet:1.4.0",
        cmds=["python", "train.py"],
        env_vars={"BATCHBANDIT_URL": "http://batchbandit:8000", "BATCHBANDIT_STATE_DIR": STATE_FOLDER},
        secrets=[Secret("env", "BATCHBANDIT_TOKEN", "batchbandit", "token")],
        volumes=[
            models.V1Volume(
                name=STATE,
                persistent_volume_claim=models.V1PersistentVolumeClaimVolumeSource(claim_name=STATE),
            )
        ],
        volume_mounts=[models.V1VolumeMount(name=STATE, mount_path=STATE_FOLDER)],
        container_resources=models.V1ResourceRequirements(limits={"nvidia.com/gpu": "1"}),
        execution_timeout=timedelta(hours=8),
        termination_grace_period=60,
    )
