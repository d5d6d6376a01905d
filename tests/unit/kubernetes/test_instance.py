from __future__ import annotations

import string
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from common.config.layers import Layers, settings
from common.errors import AdstreamError
from common.kubernetes.instance import SETTINGS, WORKERS, Instance, instantiate
from common.kubernetes.objects import JOB, OF_JOB, SUITE

NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8)
OVERLAY: dict[str, Any] = {
    "namespace": "team",
    "namePrefix": "sessions-",
    "labels": [{"pairs": {JOB: "sessions"}, "includeSelectors": True}, {"pairs": {SUITE: "adstream"}}],
    "resources": ["../../../base/flink-application"],
    "configMapGenerator": [
        {"name": SETTINGS, "files": ["jobs.yaml"], "literals": ["INPUT=/data", "SINK="]},
        {"name": "size", "literals": ["TASKMANAGER_MEMORY=2g"]},
    ],
    "patches": [{"path": "more.yaml"}],
}


def instance(job: str = "billing", literals: dict[str, str] | None = None, namespace: str = "") -> Instance:
    return Instance(job, settings("sessions", Layers(assignments=["gap=15m"])), literals or {}, namespace)


def test_the_job_of_the_overlay_itself_changes_nothing() -> None:
    assert instantiate(OVERLAY, instance("sessions")) == OVERLAY


@given(job=NAMES, place=NAMES, workers=st.none() | st.integers(1, 100), source=NAMES)
def test_another_job_changes_its_name_its_values_and_nothing_else(
    job: str, place: str, workers: int | None, source: str
) -> None:
    changed = dict(instantiate(OVERLAY, instance(job, {"INPUT": source}, place), workers))
    assert changed.pop("namePrefix") == f"{job}-"
    assert changed.pop("namespace") == place
    assert changed.pop("labels") == [
        {"pairs": {JOB: job}, "includeSelectors": True},
        {"pairs": {SUITE: "adstream"}},
    ]
    assert changed.pop("replicas", None) == (None if workers is None else [{"name": WORKERS, "count": workers}])
    ours, size = changed.pop("configMapGenerator")
    assert ours == {"name": SETTINGS, "files": ["jobs.yaml"], "literals": [f"INPUT={source}", "SINK="]}
    assert size == OVERLAY["configMapGenerator"][1]
    assert changed == {name: OVERLAY[name] for name in ("resources", "patches")}


def test_settings_are_those_that_were_set() -> None:
    assert yaml.safe_load(instance().settings_text()) == {"billing": {"gap": 900_000}}


def test_what_belongs_to_no_job_is_refused() -> None:
    for missing in ("namePrefix", "configMapGenerator"):
        with pytest.raises(AdstreamError, match="the overlay is of no job"):
            instantiate({name: value for name, value in OVERLAY.items() if name != missing}, instance())


def test_a_value_that_the_overlay_does_not_have_is_refused() -> None:
    with pytest.raises(AdstreamError, match="no value 'OUTPUT': it has INPUT, SINK"):
        instantiate(OVERLAY, instance(literals={"OUTPUT": "x"}))


def test_a_revision_has_a_name_of_its_own_and_says_of_which_job_it_is() -> None:
    revision = replace(instance("billing"), revision="a1")
    changed = instantiate(OVERLAY, revision)
    assert changed["namePrefix"] == "billing-a1-"
    assert changed["labels"] == [
        {"pairs": {JOB: "billing-a1"}, "includeSelectors": True},
        {"pairs": {SUITE: "adstream"}},
        {"pairs": {OF_JOB: "billing"}, "includeTemplates": True},
    ]
    assert yaml.safe_load(revision.settings_text()) == {"billing": {"gap": 900_000}}
