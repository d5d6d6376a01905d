from __future__ import annotations

from typing import Any

from common.kubernetes.objects import PART
from common.kubernetes.view import newest_driver, pod_view


def pod(name: str, part: str, created: str, **more: Any) -> dict[str, Any]:
    states = [
        {"ready": True, "restartCount": 1, "state": {"running": {}}},
        {"ready": True, "restartCount": 2, "state": {}},
    ]
    metadata = {"name": name, "labels": {PART: part}, "creationTimestamp": created, **more}
    return {"metadata": metadata, "status": {"phase": "Running", "containerStatuses": states}}


def test_restarts_are_those_of_all_containers() -> None:
    view = pod_view(pod("a", "driver", "2026-01-01T00:00:00Z"))
    assert (view.restarts, view.ready, view.phase, view.drives) == (3, True, "Running", True)


def test_a_pod_that_ends_is_not_ready() -> None:
    view = pod_view(pod("a", "driver", "2026-01-01T00:00:00Z", deletionTimestamp="2026-01-01T00:00:01Z"))
    assert (view.ready, view.phase, view.drives) == (False, "Terminating", False)


def test_why_a_container_ended_is_told() -> None:
    failed = pod("a", "driver", "2026-01-01T00:00:00Z")
    failed["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    assert pod_view(failed).reason == "OOMKilled (137)"


def test_a_pod_that_was_not_scheduled_has_no_state() -> None:
    view = pod_view({"metadata": {"name": "a"}, "status": {"phase": "Pending"}})
    assert (view.ready, view.restarts, view.part) == (False, 0, "")


def test_the_newest_driver_tells_the_numbers() -> None:
    pods = [
        pod("worker", "taskmanager", "2026-01-03T00:00:00Z"),
        pod("old", "jobmanager", "2026-01-01T00:00:00Z"),
        pod("new", "jobmanager", "2026-01-02T00:00:00Z"),
        pod("ending", "jobmanager", "2026-01-04T00:00:00Z", deletionTimestamp="x"),
    ]
    found = newest_driver(pods)
    assert found is not None
    assert found.name == "new"
    assert newest_driver(pods[:1]) is None
