from __future__ import annotations

import json
from typing import Any

import pytest

from common.errors import AdstreamError
from common.kubernetes.objects import JOB, PART, SUITE, driver_of, key, settings_name, template_of
from common.kubernetes.release import APPLIED, before, blocked, check_of, new, refused

LABELS = {JOB: "sessions", SUITE: "adstream", PART: "driver"}
POD: dict[str, Any] = {
    "serviceAccountName": "driver",
    "terminationGracePeriodSeconds": 60,
    "initContainers": [{"name": "alone", "image": "a:1"}],
    "containers": [
        {
            "name": "job",
            "image": "adstream:1",
            "args": [
                "adstream",
                "run",
                "$(JOB)",
                "--retry=10m",
                "--metrics-port=9108",
                "--overwrite",
                "--input=$(INPUT)",
            ],
            "livenessProbe": {"httpGet": {"path": "/healthz"}},
            "ports": [{"containerPort": 9108}],
            "securityContext": {"readOnlyRootFilesystem": True},
        },
        {"name": "beside", "image": "b:1"},
    ],
    "volumes": [{"name": "settings", "configMap": {"name": "sessions-settings-abc"}}],
}


def deployment(pod: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "sessions-driver", "namespace": "team", "labels": LABELS}
    return {
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"template": {"metadata": {"labels": LABELS}, "spec": pod}},
    }


SERVICE = {"kind": "Service", "metadata": {"name": "sessions-driver", "namespace": "team"}}


def test_a_check_is_the_driver_s_own_pod_that_starts_nothing() -> None:
    check = check_of([SERVICE, deployment(POD)])
    assert (check["kind"], check["metadata"]["namespace"]) == ("Job", "team")
    template = template_of(check)
    assert template is not None
    pod = template["spec"]
    assert (pod["serviceAccountName"], pod["volumes"], pod["restartPolicy"]) == ("driver", POD["volumes"], "Never")
    assert check["spec"]["backoffLimit"] == 0
    (container,) = pod["containers"]
    assert container["args"] == ["adstream", "run", "$(JOB)", "--input=$(INPUT)", "--check"]
    assert container["securityContext"] == POD["containers"][0]["securityContext"]
    assert not {"livenessProbe", "ports"} & set(container)
    assert "initContainers" not in pod


def test_no_service_leads_to_a_check_and_each_release_has_its_own() -> None:
    check = check_of([deployment(POD)])
    template = template_of(check)
    assert template is not None
    assert template["metadata"]["labels"] == {**LABELS, PART: "check"}
    other = {**POD, "serviceAccountName": "job"}
    assert check_of([deployment(other)])["metadata"]["name"] != check["metadata"]["name"]
    assert check_of([deployment(POD)])["metadata"]["name"] == check["metadata"]["name"]


def test_a_release_without_a_driver_has_no_check() -> None:
    with pytest.raises(AdstreamError, match="no object has a container 'job'"):
        check_of([SERVICE])


def test_settings_are_found_by_the_volume() -> None:
    assert settings_name(driver_of([deployment(POD)])) == "sessions-settings-abc"


def test_a_roll_back_applies_what_was_applied_last_and_deletes_what_is_new() -> None:
    applied = {**SERVICE, "spec": {"clusterIP": "None"}}
    live = {**applied, "metadata": {**SERVICE["metadata"], "annotations": {APPLIED: json.dumps(applied)}}}
    by_hand = {"kind": "ConfigMap", "metadata": {"name": "x"}}
    assert before([live, by_hand]) == (applied,)
    assert [key(item) for item in new([SERVICE, deployment(POD)], [live])] == [("Deployment", "sessions-driver")]


def test_the_reason_of_a_refusal_is_the_last_line() -> None:
    assert (
        refused("warning\nadstream: stream 'x': the broker does not have it\n\n")
        == "stream 'x': the broker does not have it"
    )
    assert refused("") == "its pod said nothing"


def test_what_hinders_a_pod_is_told() -> None:
    pulling = {
        "status": {
            "containerStatuses": [{"image": "x", "state": {"waiting": {"reason": "ErrImagePull", "message": "no x"}}}]
        }
    }
    creating = {
        "status": {"containerStatuses": [{"image": "x", "state": {"waiting": {"reason": "ContainerCreating"}}}]}
    }
    quota = {"reason": "FailedCreate", "message": "exceeded quota: team"}
    assert blocked([pulling], []) == "ErrImagePull: no x"
    assert blocked([creating], []) == ""
    assert blocked([], [{"reason": "SuccessfulCreate"}, quota]) == "exceeded quota: team"
