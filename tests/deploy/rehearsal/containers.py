"""A pod of Kubernetes as a container of Docker: its user, environment, arguments, root and mounts."""

import base64
from typing import Any

from tests.deploy.manifests import Manifest, pods


def environment_of(container: dict[str, Any], manifests: list[Manifest]) -> dict[str, str]:
    """Return the variables of a container, from the objects that it refers to."""
    by_name = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}
    variables: dict[str, str] = {}
    for source in container["envFrom"]:
        if "configMapRef" in source:
            variables |= by_name["ConfigMap", source["configMapRef"]["name"]]["data"]
        else:
            encoded = by_name["Secret", source["secretRef"]["name"]]["data"]
            variables |= {name: base64.b64decode(value).decode() for name, value in encoded.items()}
    return variables


def options_of(manifests: list[Manifest], volume: str | None = None) -> tuple[list[str], list[str]]:
    """Return the options and the arguments of ``docker run`` for the only pod of a kustomization.

    ``volume`` is what a claim is bound to; unlike a claim, it has to be the user's already.
    """
    (pod,) = pods(manifests)
    (container,) = pod["containers"]
    user, own = pod["securityContext"], container["securityContext"]
    options = ["--user", f"{user['runAsUser']}:{user['runAsGroup']}"]
    options += ["--read-only"] if own["readOnlyRootFilesystem"] else []
    options += [] if own["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]
    options += [option for name in own["capabilities"]["drop"] for option in ("--cap-drop", name)]
    options += ["--memory", container["resources"]["limits"]["memory"].removesuffix("i")]
    for name, value in environment_of(container, manifests).items():
        options += ["--env", f"{name}={value}"]
    kinds = {each["name"]: each for each in pod.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        if "emptyDir" in kinds[mount["name"]]:
            size = kinds[mount["name"]]["emptyDir"]["sizeLimit"].removesuffix("i")
            options += ["--tmpfs", f"{mount['mountPath']}:size={size},mode=1777"]
        else:
            options += ["--volume", f"{volume}:{mount['mountPath']}"]
    command = container.get("command", [])
    options += ["--entrypoint", command[0]] if command else []
    return options, [*command[1:], *container.get("args", [])]
