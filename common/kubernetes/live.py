"""Which revision of a job is the live one: a ConfigMap that readers of its output follow, and releases agree by.

The API server changes it for whoever knows its last version, and for nobody else (`metadata.resourceVersion`). So a
release claims it before it starts anything, and the switch to another revision, made with the version of that claim,
happens only if no other release has begun since. It outlives the job as its volume does: without it, nobody would know
which of the outputs is the answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.errors import AdstreamError, UnavailableError
from common.kubernetes.kubectl import Kubectl, dump
from common.kubernetes.objects import JOB, LIVE, PART, SUITE, Object, revised

_CLAIM = "adstream.io/claim"
_BESIDE = "adstream.io/beside"


@dataclass(frozen=True)
class Live:
    """What is known of a job's revisions.

    Attributes:
        job: The job.
        revision: The live one; empty for the job as its overlay has it, also before the first release.
        output: The folder that it writes to, as its pods have it; empty before the first release.
        beside: The revision that the last release has started beside it; empty where none has since the last switch.
        version: The version of this knowledge; empty before the first release.
    """

    job: str
    revision: str = ""
    output: str = ""
    beside: str = ""
    version: str = ""

    @property
    def name(self) -> str:
        """What the live revision's objects are named and labelled with."""
        return revised(self.job, self.revision)

    @classmethod
    def of(cls, kubectl: Kubectl, job: str) -> Live:
        """What a cluster knows."""
        found = kubectl.json("get", "configmap", _name(job), "--ignore-not-found")
        return _read(job, found) if found else cls(job)

    def claimed(self, kubectl: Kubectl, output: str, beside: str = "") -> Live:
        """The same, claimed for a release: a claim or a switch of an earlier one fails from now on.

        Args:
            kubectl: The way to the cluster.
            output: The folder that the live revision writes to.
            beside: The revision that is started beside it.

        Raises:
            AdstreamError: It is no longer so.
        """
        return _put(kubectl, replace(self, output=output, beside=beside))

    def switched(self, kubectl: Kubectl, revision: str, output: str) -> Live:
        """Makes another revision the live one, for all readers at once.

        Raises:
            AdstreamError: Another release has begun since; nothing was changed.
        """
        return _put(kubectl, replace(self, revision=revision, output=output, beside=""))


def overtaken(job: str) -> AdstreamError:
    """What a release says that finds that another one has begun after it."""
    return AdstreamError(f"another release of '{job}' has begun meanwhile", "see adstream k8s status, and run it again")


def _put(kubectl: Kubectl, live: Live) -> Live:
    verb = "replace" if live.version else "create"
    try:
        return _read(live.job, kubectl.json(verb, "--filename=-", text=dump([_written(live, kubectl.namespace)])))
    except AdstreamError as error:
        if not isinstance(error, UnavailableError) and _is_conflict(error.problem):
            raise overtaken(live.job) from error
        raise


def _written(live: Live, namespace: str) -> Object:
    # The claim is another one each time, as what is put without a change would keep its version.
    metadata: dict[str, Any] = {
        "name": _name(live.job),
        "labels": {JOB: live.job, SUITE: "adstream", PART: LIVE},
        "annotations": {_CLAIM: secrets.token_hex(8), _BESIDE: live.beside},
        **({"namespace": namespace} if namespace else {}),
        **({"resourceVersion": live.version} if live.version else {}),
    }
    data = {"name": live.name, "revision": live.revision, "output": live.output}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _read(job: str, item: Mapping[str, Any]) -> Live:
    metadata, data = item["metadata"], item["data"]
    beside = metadata.get("annotations", {}).get(_BESIDE, "")
    return Live(job, data["revision"], data["output"], beside, metadata["resourceVersion"])


def _name(job: str) -> str:
    return f"{job}-{LIVE}"


def _is_conflict(problem: str) -> bool:
    """Whether the API server says that a version is not the last one; kubectl passes the reason on in words only."""
    return "(Conflict)" in problem or "(AlreadyExists)" in problem or "(NotFound)" in problem
