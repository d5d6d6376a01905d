from __future__ import annotations

import copy
from typing import Any

import pytest

from common.config.layers import Layers, settings
from common.errors import AdstreamError
from common.kubernetes.instance import Instance
from common.kubernetes.objects import JOB, driver_of
from common.kubernetes.revision import apart, input_of, new_revision, output_of, refuse_a_sink

ARGUMENTS = ["adstream", "run", "$(JOB)", "--input=$(INPUT)", "--sink=$(SINK)", "--output=/data/jobs/$(JOB)"]
LABELS = {JOB: "sessions-a1"}


def objects(arguments: list[str], sink: str = "", kind: str = "Deployment") -> list[dict[str, Any]]:
    entry = {name: {"configMapKeyRef": {"name": "settings-x", "key": name}} for name in ("INPUT", "SINK")}
    label = {"fieldRef": {"fieldPath": f"metadata.labels['{JOB}']"}}
    variables = [{"name": name, "valueFrom": source} for name, source in {**entry, "JOB": label}.items()]
    pod = {"containers": [{"name": "proxy", "args": ["run"]}, {"name": "job", "args": arguments, "env": variables}]}
    driver = {
        "kind": kind,
        "metadata": {"name": "sessions-a1-driver", "labels": LABELS},
        "spec": {"template": {"metadata": {"labels": LABELS}, "spec": pod}},
    }
    config = {"kind": "ConfigMap", "metadata": {"name": "settings-x"}, "data": {"INPUT": "/data/in", "SINK": sink}}
    return [config, driver]


def instance(*assignments: str) -> Instance:
    return Instance("sessions", settings("sessions", Layers(assignments=assignments)), revision="a1")


def arguments(found: Any) -> list[str]:
    proxy, job = driver_of(found)["spec"]["template"]["spec"]["containers"]
    assert proxy == {"name": "proxy", "args": ["run"]}
    return list(job["args"])


def test_a_revision_runs_its_job_and_shares_no_state() -> None:
    written = objects(ARGUMENTS)
    before = copy.deepcopy(written)
    assert arguments(apart(written, instance())) == [
        "adstream",
        "run",
        "sessions",
        *ARGUMENTS[3:],
        "--checkpoint=/data/jobs/$(JOB)/_checkpoint",
    ]
    assert written == before
    assert output_of(written) == "/data/jobs/sessions-a1"
    assert input_of(written) == "/data/in"


@pytest.mark.parametrize(
    ("storage", "place"),
    [("/data/kept", "/data/kept/$(JOB)"), ("s3://b/kept?endpoint=http://x", "s3://b/kept/$(JOB)?endpoint=http://x")],
)
def test_a_storage_that_all_revisions_are_told_of_holds_each_apart(storage: str, place: str) -> None:
    found = apart(objects(ARGUMENTS), instance(f"checkpoint.storage={storage}"))
    assert arguments(found)[-1] == f"--checkpoint={place}"


def test_a_checkpoint_of_its_own_stays() -> None:
    own = [*ARGUMENTS, "--checkpoint", "/kept/$(JOB)"]
    assert arguments(apart(objects(own), instance()))[3:] == own[3:]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ([*ARGUMENTS[:2], "sessions", *ARGUMENTS[3:]], "does not run 'adstream run"),
        (["python"], "does not run 'adstream run"),
        ([*ARGUMENTS[:-1], "--output=/data/jobs/sessions"], "/data/jobs/sessions is that of all revisions"),
        (ARGUMENTS[:-1], "is not given"),
        ([*ARGUMENTS, "--checkpoint=/data/kept"], "/data/kept is that of all revisions"),
    ],
)
def test_what_could_not_be_told_apart_is_refused(changed: list[str], reason: str) -> None:
    with pytest.raises(AdstreamError, match=reason):
        apart(objects(changed), instance())


def test_what_ends_by_itself_has_no_revisions() -> None:
    with pytest.raises(AdstreamError, match="'sessions-a1-driver' is a Job, which ends by itself"):
        apart(objects(ARGUMENTS, kind="Job"), instance())


@pytest.mark.parametrize(
    ("changed", "sink"),
    [
        (ARGUMENTS, "kafka://b"),
        ([*ARGUMENTS[:4], "--sink", "kafka://b"], ""),
        ([*ARGUMENTS[:4], "--sink=$(SECRET)"], ""),
    ],
)
def test_a_stream_has_one_writer(changed: list[str], sink: str) -> None:
    refuse_a_sink("sessions", objects(ARGUMENTS))
    with pytest.raises(AdstreamError, match="side by side would write everything twice: release it with"):
        refuse_a_sink("sessions", objects(changed, sink))


def test_no_revision_is_named_as_another_was() -> None:
    names = {new_revision() for _ in range(100)}
    assert len(names) == 100
    assert all(name.isalnum() and name == name.lower() for name in names)
