"""Revisions of a job, rendered: they share nothing with each other, and are the job in all else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from common.cli.main import invoke
from common.config.layers import Layers, settings
from common.errors import AdstreamError, ExitCode
from common.kubernetes.instance import SETTINGS_FILE, Instance
from common.kubernetes.kubectl import Kubectl, dump
from common.kubernetes.objects import (
    CONTAINER,
    JOB,
    OF_JOB,
    Object,
    containers,
    driver_of,
    key,
    settings_name,
    template_of,
)
from common.kubernetes.render import overlay_folder, render
from common.kubernetes.revision import output_of, refuse_a_sink
from tests.k8s.policies import violations
from tests.k8s.rendered import ABOUT_JOBS, OVERLAYS, rendered

REVISION = "a1b2c3"
NAME = f"sessions-{REVISION}"
HASH = re.compile(r"-[a-z0-9]{10}$")


def goes_on(name: str) -> bool:
    """Whether an overlay is of a job whose driver is a Deployment."""
    try:
        return name.partition("/")[2] != "flink-cluster" and driver_of(rendered(name))["kind"] == "Deployment"
    except AdstreamError:
        return False


GOING_ON = [name for name in ABOUT_JOBS if goes_on(name)]
LOCAL = [name for name in GOING_ON if name.startswith("local/")]


@cache
def revision(name: str, *assignments: str) -> tuple[Object, ...]:
    """The objects of an overlay as a revision."""
    folder = overlay_folder(name)
    found = settings("sessions", Layers(folder / SETTINGS_FILE, {}, assignments))
    return render(Kubectl.found(), folder, Instance("sessions", found, revision=REVISION))


def templates(objects: tuple[Object, ...]) -> Iterator[Object]:
    for item in objects:
        template = template_of(item)
        if template is not None:
            yield template


def chosen(item: Object) -> dict[str, str]:
    """What an object selects pods by; nothing where it selects none."""
    selector = item.get("spec", {}).get("selector", {})
    return dict(selector.get("matchLabels", selector) if item["kind"] != "ConfigMap" else {})


def expanded(template: Object, container: Object) -> list[str]:
    """A container's arguments as its process gets them, as far as the label says."""
    return [each.replace("$(JOB)", template["metadata"]["labels"][JOB]) for each in container.get("args", ())]


def test_there_are_shapes_that_go_on() -> None:
    assert {name.partition("/")[2] for name in LOCAL} == {"flink-application", "flink-session", "spark-driver"}


@pytest.mark.parametrize("name", LOCAL)
def test_a_revision_is_what_an_api_server_takes(name: str) -> None:
    for item in revision(name):
        kubernetes_validate.validate(dict(item), "1.34", strict=True)
    assert [what for template in templates(revision(name)) for what in violations(template)] == []


@pytest.mark.parametrize("name", LOCAL)
def test_no_selector_of_one_revision_finds_pods_of_the_other(name: str) -> None:
    plain, beside = rendered(name), revision(name)
    assert not {key(item) for item in plain} & {key(item) for item in beside}
    for ours, theirs in ((plain, beside), (beside, plain)):
        for item in filter(chosen, ours):
            wanted = chosen(item).items()
            assert len([each for each in templates(ours) if wanted <= each["metadata"]["labels"].items()]) == 1
            assert not [each for each in templates(theirs) if wanted <= each["metadata"]["labels"].items()]


@pytest.mark.parametrize("name", LOCAL)
def test_a_revision_says_of_which_job_it_is_and_the_job_itself_does_not(name: str) -> None:
    labelled = [item["metadata"]["labels"] for item in revision(name)]
    labelled += [template["metadata"]["labels"] for template in templates(revision(name))]
    assert {(labels[JOB], labels[OF_JOB]) for labels in labelled} == {(NAME, "sessions")}
    assert OF_JOB not in dump(rendered(name))


@pytest.mark.parametrize("name", LOCAL)
def test_a_revision_runs_its_job_where_no_other_writes(name: str) -> None:
    driver = driver_of(revision(name))
    template = template_of(driver)
    assert template is not None
    (container,) = (each for each in template["spec"]["containers"] if each["name"] == CONTAINER)
    arguments = expanded(template, container)
    assert arguments[:3] == ["adstream", "run", "sessions"]
    assert f"--output=/data/jobs/{NAME}" in arguments
    assert f"--checkpoint=/data/jobs/{NAME}/_checkpoint" in arguments
    assert output_of(revision(name)) == f"/data/jobs/{NAME}"
    assert output_of(rendered(name)) == "/data/jobs/sessions"
    refuse_a_sink("sessions", revision(name))


@pytest.mark.parametrize("name", LOCAL)
def test_what_a_revision_refers_to_is_its_own(name: str) -> None:
    there = {key(item) for item in revision(name)}
    assert ("ConfigMap", settings_name(driver_of(revision(name)))) in there
    hosts = set()
    for template in templates(revision(name)):
        for container in containers(template["spec"]):
            for argument in expanded(template, container):
                hosts |= set(re.findall(rf"{NAME}-[a-z]+|sessions-[a-z]+manager", argument))
    assert hosts <= {host for kind, host in there if kind == "Service"}
    assert "-jobmanager" not in str(hosts) or name.endswith("flink-application")


@pytest.mark.parametrize("name", LOCAL)
def test_a_revision_is_the_job_in_all_else(name: str) -> None:
    plain = {(item["kind"], HASH.sub("", item["metadata"]["name"])): item for item in rendered(name)}
    for item in revision(name):
        renamed = yaml.safe_load(dump([item]).replace(NAME, "sessions"))
        same = plain[renamed["kind"], HASH.sub("", renamed["metadata"]["name"])]
        assert _bare(renamed) == _bare(same)


def _bare(item: Any) -> Any:
    """An object without what a revision may differ in: its label, its hashes, what is said of the job and the checkpoint."""
    if isinstance(item, dict):
        return {name: _bare(value) for name, value in item.items() if name != OF_JOB}
    if isinstance(item, list):
        told = [each for each in item if not str(each).startswith("--checkpoint=")]
        if told[:2] == ["adstream", "run"]:
            told[2] = "$(JOB)"
        return [_bare(each) for each in told]
    return HASH.sub("", item) if isinstance(item, str) else item


@pytest.mark.parametrize("name", LOCAL)
def test_the_command_of_a_revision_is_one_that_the_command_line_takes(
    name: str, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = template_of(driver_of(revision(name)))
    assert template is not None
    (container,) = (each for each in template["spec"]["containers"] if each["name"] == CONTAINER)
    known = {"INPUT": str(sample), "SINK": ""}
    line = [
        re.sub(r"\$\(([A-Z_]+)\)", lambda found: known.get(found[1], "1"), each)
        .replace("/data/", f"{tmp_path}/")
        .replace("/etc/adstream", str(OVERLAYS / name))
        for each in expanded(template, container)
    ]
    assert invoke([*line[1:], "--check"]) == ExitCode.OK
    assert "all checks passed" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == [NAME]


def test_task_managers_of_a_revision_are_as_many_as_its_tasks() -> None:
    (workers,) = (
        item
        for item in revision("local/flink-application", "parallelism=5")
        if item["kind"] == "Deployment" and item["metadata"]["name"] == f"{NAME}-taskmanager"
    )
    assert workers["spec"]["replicas"] == 5


@pytest.mark.parametrize("name", [name for name in GOING_ON if name.startswith("production/")])
def test_a_job_that_writes_a_stream_is_not_run_twice(name: str) -> None:
    with pytest.raises(AdstreamError, match="writes to kafka://"):
        refuse_a_sink("sessions", rendered(name))


def test_a_job_that_ends_by_itself_has_no_revisions() -> None:
    for shape in ("spark-batch", "beam"):
        with pytest.raises(AdstreamError, match="which ends by itself"):
            revision(f"local/{shape}")


def test_a_strategy_is_one_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["k8s", "deploy", "sessions", "--overlay", "local/spark-driver", "--strategy", "green-blue"]
    assert invoke(line) == ExitCode.REFUSED
    assert "unknown strategy 'green-blue': " in capsys.readouterr().err
