"""The manifests are what Kubernetes takes, confined, and agree with one another."""

import re
from copy import deepcopy
from itertools import chain
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from yamllint import linter
from yamllint.config import YamlLintConfig

from service.serving import SHUTDOWN_SECONDS
from tests.conftest import ROOT
from tests.deploy.manifests import BUILT, KUBERNETES, Manifest, built, copied, of_kind, pods
from tests.deploy.programs import DEPLOYMENT, program, said

STYLE = YamlLintConfig("{extends: default, rules: {line-length: {max: 120}}}")
TRAINING = KUBERNETES / "training" / "job.yaml"
EXAMPLE = ROOT / "client" / "examples" / "kubernetes" / "train.yaml"
# Of custom resources there is no schema here: their operators have them.
CUSTOM = {"ServiceMonitor"}
RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


@pytest.fixture(scope="module")
def deployments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Manifest]]:
    """Return the objects of each kustomization that is applied."""
    folder = copied(tmp_path_factory.mktemp("manifests"))
    return {name: built(folder / name) for name in BUILT}


@pytest.fixture(scope="module")
def everything(deployments: dict[str, list[Manifest]]) -> list[Manifest]:
    """Return all objects that there are."""
    return [*yaml.safe_load_all(TRAINING.read_text()), *chain(*deployments.values())]


def unrestricted(pod: Manifest) -> list[str]:
    """Return where a pod breaks the restricted Pod Security Standard, for Linux.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    of_pod = pod.get("securityContext", {})
    broken = [name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name)]
    for volume in pod.get("volumes", []):
        broken += [f"volume {kind}" for kind in set(volume) - {"name"} - RESTRICTED_VOLUMES]
    broken += ["sysctls"] if of_pod.get("sysctls") else []
    for container in pod.get("initContainers", []) + pod["containers"]:
        own = container.get("securityContext", {})
        capabilities = own.get("capabilities", {})
        rules = {
            "privileged": not own.get("privileged"),
            "escalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": capabilities.get("drop") == ["ALL"]
            and set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"},
            "root": own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is True,
            "user": own.get("runAsUser", of_pod.get("runAsUser")) != 0,
            "seccomp": own.get("seccompProfile", of_pod.get("seccompProfile", {})).get("type")
            in {"RuntimeDefault", "Localhost"},
            "proc": own.get("procMount", "Default") == "Default",
            "port of the host": not any("hostPort" in port for port in container.get("ports", [])),
        }
        broken += [rule for rule, is_kept in rules.items() if not is_kept]
    return broken


def test_the_manifests_are_clean() -> None:
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        assert [f"{path}: {problem}" for problem in linter.run(path.read_text(), STYLE)] == []


def test_kubernetes_takes_every_object(everything: list[Manifest]) -> None:
    for manifest in everything:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    wrong = deepcopy(of_kind(everything[1:], "PodDisruptionBudget"))
    wrong["spec"]["maxUnavailabel"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="maxUnavailabel"):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_every_pod_keeps_the_restricted_standard(everything: list[Manifest]) -> None:
    found = pods(everything)
    assert len(found) == len(BUILT) + 1
    assert [unrestricted(pod) for pod in found] == [[]] * len(found)
    loosened = deepcopy(found[-1])
    del loosened["containers"][0]["securityContext"], loosened["securityContext"]["seccompProfile"]
    loosened["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
    assert unrestricted(loosened) == ["volume hostPath", "escalation", "capabilities", "seccomp"]


def test_the_services_own_pods_write_nowhere_but_in_their_volumes(
    deployments: dict[str, list[Manifest]],
) -> None:
    for pod in pods([*chain(*deployments.values())]):
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        # BATCHBANDIT_PORT would be the address of the Service of that name.
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False
        assert {"memory"} <= set(container["resources"]["limits"])
        mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounts == {volume["name"] for volume in pod.get("volumes", [])}


@pytest.mark.parametrize("overlay", ["postgres", "sqlite"])
def test_all_of_an_overlay_has_the_same_image_and_settings(
    deployments: dict[str, list[Manifest]], overlay: str
) -> None:
    of_overlay = [found for name, found in deployments.items() if name.startswith(f"overlays/{overlay}")]
    images, names = set(), set()
    for manifests in of_overlay:
        (pod,) = pods(manifests)
        images.add(pod["containers"][0]["image"])
        referred = [next(iter(each.values()))["name"] for each in pod["containers"][0]["envFrom"]]
        names.add(tuple(referred))
        assert set(referred) <= {manifest["metadata"]["name"] for manifest in manifests}
    assert len(images) == len(names) == 1


def test_pods_are_told_to_stop_early_enough(deployments: dict[str, list[Manifest]]) -> None:
    for name in ("overlays/postgres", "overlays/sqlite"):
        (pod,) = pods(deployments[name])
        settings = of_kind(deployments[name], "ConfigMap")["data"]
        draining = float(settings.get("BATCHBANDIT_DRAIN_SECONDS", "0"))
        assert draining + SHUTDOWN_SECONDS < pod["terminationGracePeriodSeconds"]


def test_one_process_at_a_time_serves_a_file_and_two_serve_postgres(
    deployments: dict[str, list[Manifest]],
) -> None:
    alone = of_kind(deployments["overlays/sqlite"], "Deployment")["spec"]
    assert (alone["replicas"], alone["strategy"]) == (1, {"type": "Recreate"})
    several = of_kind(deployments["overlays/postgres"], "Deployment")["spec"]
    assert several["replicas"] == 2
    assert several["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_selectors_select_the_pods_of_the_service(deployments: dict[str, list[Manifest]]) -> None:
    for manifests in (deployments["overlays/postgres"], deployments["overlays/sqlite"]):
        labels = of_kind(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
        assert of_kind(manifests, "Service")["spec"]["selector"] == labels
        for manifest in manifests:
            if manifest["kind"] in {"NetworkPolicy", "PodDisruptionBudget"}:
                key = "podSelector" if manifest["kind"] == "NetworkPolicy" else "selector"
                assert manifest["spec"][key]["matchLabels"].items() <= labels.items()
                assert manifest["spec"][key]["matchLabels"]
    budget = of_kind(deployments["overlays/postgres"], "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1


def test_metrics_are_gathered_where_an_overlay_says_so(tmp_path: Path) -> None:
    overlay = copied(tmp_path) / "overlays" / "postgres" / "kustomization.yaml"
    overlay.write_text(overlay.read_text().replace("  # - ../../components", "  - ../../components"))
    manifests = built(overlay.parent)
    monitor = of_kind(manifests, "ServiceMonitor")["spec"]
    service = of_kind(manifests, "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] == service["spec"]["ports"][0]["name"]
    for manifest in manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_training_finds_what_it_needs(deployments: dict[str, list[Manifest]]) -> None:
    service = of_kind(deployments["overlays/postgres"], "Service")
    examples = list(yaml.safe_load_all(EXAMPLE.read_text()))
    secret, claim = of_kind(examples, "Secret"), of_kind(examples, "PersistentVolumeClaim")
    for pod in pods([*yaml.safe_load_all(TRAINING.read_text()), *examples]):
        variables = {each["name"]: each for each in pod["containers"][0]["env"]}
        address = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
        assert variables["BATCHBANDIT_URL"]["value"] == address
        reference = variables["BATCHBANDIT_TOKEN"]["valueFrom"]["secretKeyRef"]
        assert reference["name"] == secret["metadata"]["name"]
        assert reference["key"] in secret["stringData"]
        claims = [each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"]]
        assert claims == [claim["metadata"]["name"]]


def test_the_page_names_what_there_is() -> None:
    folders = re.findall(r"^\| `(overlays/\w+(?:/\w+)?)`", DEPLOYMENT, re.MULTILINE)
    assert set(folders) | {"overlays/sqlite/console"} == set(BUILT)
    for line in re.findall(r"^kubectl .*--filename (\S+)", DEPLOYMENT, re.MULTILINE):
        assert (ROOT / line).exists()
    names = {"pod/batchbandit-console", "job/batchbandit-migration", "deployment/batchbandit"}
    assert set(re.findall(r"(?:pod|job|deployment)/[\w-]+", DEPLOYMENT)) == names


def test_a_password_that_is_missing_is_said(tmp_path: Path) -> None:
    folder = copied(tmp_path) / "overlays" / "postgres"
    (folder / "settings" / "database.env").unlink()
    with pytest.raises(AssertionError, match=r"database\.env"):
        said(program("kubectl"), "kustomize", folder)
