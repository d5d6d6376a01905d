from __future__ import annotations

from typing import Any

import pytest

from common.kubernetes.objects import JOB, SUITE, goes_on, revised, selector


def making(kind: str, container: str) -> dict[str, Any]:
    return {"kind": kind, "spec": {"template": {"spec": {"containers": [{"name": container}]}}}}


def test_a_revision_is_named_for_its_job() -> None:
    assert revised("sessions", "a1") == "sessions-a1"
    assert revised("sessions", "") == "sessions"


def test_several_names_are_selected_at_once() -> None:
    assert selector("sessions", "sessions-a1") == f"{JOB} in (sessions,sessions-a1),{SUITE}=adstream"


@pytest.mark.parametrize(
    ("item", "has_no_end"),
    [
        (making("Deployment", "job"), True),
        (making("Deployment", "taskmanager"), False),
        (making("Job", "job"), False),
        ({"kind": "ConfigMap"}, False),
    ],
)
def test_a_job_goes_on_whose_driver_is_a_deployment(item: dict[str, Any], has_no_end: bool) -> None:
    assert goes_on([{"kind": "Service"}, item]) is has_no_end
