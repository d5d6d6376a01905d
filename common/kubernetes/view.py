"""How a job stands on a cluster, from the objects of its label."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from common.kubernetes.objects import DRIVERS, PART, Object


@dataclass(frozen=True)
class PodView:
    """A pod, as its user wants to see it.

    Attributes:
        name: Its name.
        part: Which part of the job it is.
        phase: `Running` and the like; `Terminating` once it was asked to end.
        ready: Whether its probes say so.
        restarts: How often its containers were started anew.
        reason: Why one of them ended last or waits; empty where none did.
    """

    name: str
    part: str
    phase: str
    ready: bool
    restarts: int
    reason: str

    @property
    def drives(self) -> bool:
        """Whether it serves the job's numbers."""
        return self.part in DRIVERS and self.phase == "Running"


def pod_view(pod: Object) -> PodView:
    """What is shown of a pod."""
    metadata, status = pod["metadata"], pod.get("status", {})
    states = status.get("containerStatuses", ())
    ending = "deletionTimestamp" in metadata
    return PodView(
        name=metadata["name"],
        part=metadata.get("labels", {}).get(PART, ""),
        phase="Terminating" if ending else status.get("phase", "Unknown"),
        ready=bool(states) and all(state["ready"] for state in states) and not ending,
        restarts=sum(state["restartCount"] for state in states),
        reason=next(filter(None, map(_reason, states)), ""),
    )


def newest_driver(pods: Iterable[Object]) -> PodView | None:
    """The pod that serves the job's numbers, if one runs."""
    sorted_pods = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    return next((view for view in map(pod_view, sorted_pods) if view.drives), None)


def _reason(state: Object) -> str:
    waiting = state.get("state", {}).get("waiting", {})
    ended = state.get("lastState", {}).get("terminated", {})
    if waiting.get("reason"):
        return str(waiting["reason"])
    return f"{ended['reason']} ({ended['exitCode']})" if ended else ""
