"""A team on a real cluster: its namespace as `k8s/base/team` has it, a volume of its own, and what tests ask of kubectl.

The cluster is the one that KUBECONFIG names. Its pods must find folders of this machine, so it has one node, and that is here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "k8s" / "overlays" / "local"
USER = 185
"""The user of all pods."""
PATIENCE = 300
"""How many seconds anything may take; the machine may be busy."""

Found = TypeVar("Found")


@dataclass(frozen=True)
class Pod:
    """A pod, as the API server has it."""

    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.content["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.content["metadata"]["uid"])

    @property
    def phase(self) -> str:
        return str(self.content["status"].get("phase", ""))

    @property
    def ending(self) -> bool:
        return "deletionTimestamp" in self.content["metadata"]

    @property
    def ready(self) -> bool:
        states = self.content["status"].get("containerStatuses", [])
        return bool(states) and all(state["ready"] for state in states) and not self.ending

    @property
    def restarts(self) -> int:
        return sum(state["restartCount"] for state in self.content["status"].get("containerStatuses", []))

    @property
    def owner(self) -> str:
        """The uid of what made it."""
        return str(next(iter(self.content["metadata"].get("ownerReferences", [])), {}).get("uid", ""))


@dataclass(frozen=True)
class Team:
    """A namespace and its volume.

    Attributes:
        name: The namespace.
        data: The folder that its pods find at `/data`.
        work: A folder for what is rendered.
        kubeconfig: How its tests, which may do anything, reach the cluster.
    """

    name: str
    data: Path
    work: Path
    kubeconfig: str

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """What a command in the namespace prints; it must succeed."""
        done = self._run(arguments, text)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def said(self, *arguments: str, text: str | None = None) -> str:
        """All that a command in the namespace says, which may fail."""
        done = self._run(arguments, text)
        return (done.stdout + done.stderr).strip()

    def _run(self, arguments: tuple[str, ...], text: str | None) -> subprocess.CompletedProcess[str]:
        line = ["kubectl", "--kubeconfig", self.kubeconfig, "--namespace", self.name, *arguments]
        return subprocess.run(line, input=text, capture_output=True, text=True, check=False, timeout=PATIENCE)

    @contextmanager
    def acting(self, account: str) -> Iterator[None]:
        """Lets the command line act as a service account of the team, as a context: it may do what that may."""
        token = self.kubectl("create", "token", account, "--duration=2h").strip()
        content = yaml.safe_load(self.kubectl("config", "view", "--raw", "--flatten", "--minify"))
        content["users"] = [{"name": account, "user": {"token": token}}]
        content["contexts"][0]["context"]["user"] = account
        path = self.work / f"{account}.kubeconfig"
        path.write_text(yaml.safe_dump(content))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(path))
            yield

    def render(self, shape: str, settings: Mapping[str, Any], **size: str) -> str:
        """A job in a shape of the local overlay, with other settings and another size, in this namespace."""
        folder = self.work / shape
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "jobs.yaml").write_text(yaml.safe_dump({"sessions": dict(settings)}))
        content: dict[str, Any] = {
            "namespace": self.name,
            "resources": [os.path.relpath(OVERLAYS / shape, folder)],
            "configMapGenerator": [{"name": "settings", "behavior": "merge", "files": ["jobs.yaml"]}],
        }
        if size:
            literals = [f"{name}={value}" for name, value in size.items()]
            content["configMapGenerator"].append({"name": "size", "behavior": "merge", "literals": literals})
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
        return self.kubectl("kustomize", str(folder))

    def apply(self, manifests: str) -> None:
        """Puts objects into the cluster."""
        self.kubectl("apply", "--filename=-", text=manifests)

    def pods(self, component: str) -> list[Pod]:
        """The pods of a part, those that have ended left out."""
        selector = f"app.kubernetes.io/component={component}"
        found = json.loads(self.kubectl("get", "pods", f"--selector={selector}", "--output=json"))
        pods = [Pod(item) for item in found["items"]]
        return [pod for pod in pods if pod.phase not in {"Succeeded", "Failed"}]

    def running(self, component: str) -> list[Pod]:
        """The pods of a part that run, and are not about to end."""
        return [pod for pod in self.pods(component) if pod.phase == "Running" and not pod.ending]

    def wait(self, what: str, found: Callable[[], Found | None], patience: float = PATIENCE) -> Found:
        """Asks every second until there is an answer that holds."""
        deadline = time.monotonic() + patience
        while True:
            answer = found()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(f"after {patience:g} s, not: {what}\n{self.described()}")
            time.sleep(1)

    def described(self) -> str:
        """How things stand, for a failure's reader."""
        pods = self.said("get", "pods", "--output=wide")
        events = self.said("get", "events", "--sort-by=.lastTimestamp")
        logs = self.said("logs", "--selector=app.kubernetes.io/component in (driver,submitter)", "--tail=150")
        traces = [path.read_text() for path in self.data.glob("jobs/*/_run/error.log")]
        return "\n".join((pods, *events.splitlines()[-15:], logs, *traces))

    def give(self, folder: Path) -> None:
        """Lets the pods' user have a folder of the volume."""
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER)


def no_cluster() -> str | None:
    """Why there is no cluster to test on; None when there is."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster"
    line = ["kubectl", "get", "--raw=/readyz"]
    try:
        asked = subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the cluster that KUBECONFIG names can't be asked: {error}"
    return (
        None if asked.returncode == 0 else f"the cluster that KUBECONFIG names does not answer: {asked.stderr.strip()}"
    )


@contextmanager
def team(name: str, work: Path) -> Iterator[Team]:
    """Makes a team, and removes it with all that it has. Without a cluster the test is skipped."""
    reason = no_cluster()
    if reason is not None:
        pytest.skip(reason)
    data = work / "data"
    data.mkdir(parents=True)
    made = Team(name, data, work, os.environ["KUBECONFIG"])
    made.give(data)
    (work / "team").mkdir()
    (work / "team" / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "namespace": name,
                "resources": [os.path.relpath(OVERLAYS / part, work / "team") for part in ("team", "volume")],
                "patches": [
                    {
                        "target": {"kind": kind},
                        "patch": yaml.safe_dump([{"op": "replace", "path": path, "value": value}]),
                    }
                    for kind, path, value in (
                        ("Namespace", "/metadata/name", name),
                        ("PersistentVolume", "/metadata/name", name),
                        ("PersistentVolume", "/spec/hostPath/path", str(data)),
                        ("PersistentVolumeClaim", "/spec/volumeName", name),
                    )
                ],
            }
        )
    )
    try:
        made.apply(made.kubectl("kustomize", str(work / "team")))
        yield made
    finally:
        made.said("delete", "namespace", name, "--wait=true", "--timeout=120s")
        made.said("delete", "persistentvolume", name, "--wait=false")
        shutil.rmtree(data, ignore_errors=True)
