"""Every overlay renders to what an API server would take, as far as its schemas say, and keeps to the rules."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from common.cli.main import invoke
from common.config.jobs import jobs
from common.config.layers import Layers, settings
from common.errors import ExitCode
from common.kubernetes.instance import SETTINGS_FILE, Instance
from common.kubernetes.kubectl import Kubectl
from common.kubernetes.objects import CONTAINER, JOB, PART, SUITE, Object, containers, driver_of, template_of
from common.kubernetes.render import overlay_folder, render
from tests.k8s.policies import violations
from tests.k8s.rendered import ABOUT_JOBS, BUILT_IN, NAMES, OVERLAYS, pods, pods_of_spark, rendered, variables

VERSIONS = ("1.31", "1.34")
"""Of Kubernetes: the oldest that has what is used here, and the one that the jobs were run on."""
NO_JOB = {"flink-cluster"}
CUSTOM = {"flink-operator", "spark-operator"}
"""Shapes whose pods an operator makes."""


def shape(name: str) -> str:
    return name.partition("/")[2]


JOBS = [name for name in ABOUT_JOBS if shape(name) not in NO_JOB]
ARE_PODS = [name for name in ABOUT_JOBS if shape(name) not in CUSTOM]


def test_there_are_overlays_for_each_place() -> None:
    assert {name.partition("/")[0] for name in NAMES} == {"local", "staging", "production"}
    assert len(JOBS) > 8


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", NAMES)
def test_every_object_fits_its_schema_and_has_no_field_besides(name: str, version: str) -> None:
    for item in rendered(name):
        if item["apiVersion"] in BUILT_IN:
            kubernetes_validate.validate(dict(item), version, strict=True)


def test_a_field_that_does_not_exist_is_found() -> None:
    (item,) = (item for item in rendered("local/flink-application") if item["kind"] == "PodDisruptionBudget")
    wrong = {**item, "spec": {**item["spec"], "maxUnavailabel": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("name", ARE_PODS)
def test_every_pod_keeps_to_the_rules(name: str) -> None:
    found = [f"{where}: {what}" for where, template in pods(name) for what in violations(template)]
    assert found == []


TAMPERED: dict[str, Callable[[Any], Any]] = {
    "may run as root": lambda pod: pod["spec"]["securityContext"].update(runAsUser=0),
    "has no seccomp profile": lambda pod: pod["spec"]["securityContext"].pop("seccompProfile"),
    "is on the host's network": lambda pod: pod["spec"].update(hostNetwork=True),
    "mounts the host": lambda pod: pod["spec"]["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    "gets variables of services": lambda pod: pod["spec"].pop("enableServiceLinks"),
    "says nothing of a token": lambda pod: pod["spec"].pop("automountServiceAccountToken"),
    "runs as the default account": lambda pod: pod["spec"].pop("serviceAccountName"),
    "has no priority": lambda pod: pod["spec"].pop("priorityClassName"),
    "is not of the suite": lambda pod: pod["metadata"]["labels"].pop(SUITE),
    "is no part of anything": lambda pod: pod["metadata"]["labels"].pop(PART),
    "may gain privileges": lambda pod: pod["spec"]["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    "keeps capabilities": lambda pod: pod["spec"]["containers"][0]["securityContext"].update(
        capabilities={"add": ["NET_ADMIN"]}
    ),
    "writes to its image": lambda pod: pod["spec"]["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
    "asks for no processor": lambda pod: pod["spec"]["containers"][0]["resources"]["requests"].pop("cpu"),
    "has no limit of memory": lambda pod: pod["spec"]["containers"][0]["resources"].pop("limits"),
    "takes any image of its name": lambda pod: pod["spec"]["containers"][0].update(image="registry.example:5000/flink"),
    "holds a password": lambda pod: pod["spec"]["containers"][0]["env"].append(
        {"name": "ADSTREAM_KAFKA_PASSWORD", "value": "x"}
    ),
    "has no livenessProbe": lambda pod: pod["spec"]["containers"][0].pop("livenessProbe"),
    "is not asked whether it gets on": lambda pod: pod["spec"]["containers"][0].update(
        livenessProbe={"tcpSocket": {"port": 1}}
    ),
    "tells no numbers": lambda pod: pod["spec"]["containers"][0].pop("ports"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_pod_that_breaks_a_rule_is_found(what: str) -> None:
    template = copy.deepcopy(template_of(driver_of(rendered("local/flink-application"))))
    TAMPERED[what](template)
    assert [line for line in violations(template) if line.endswith(what)]


@pytest.mark.parametrize("name", ABOUT_JOBS)
def test_every_object_says_whose_it_is(name: str) -> None:
    (job,) = {item["metadata"]["labels"][JOB] for item in rendered(name)}
    for item in rendered(name):
        assert item["metadata"]["labels"][SUITE] == "adstream"
        assert item["metadata"]["name"].startswith(f"{job}-"), "two jobs in a namespace would overwrite each other"


@pytest.mark.parametrize("name", ARE_PODS)
def test_what_selects_pods_selects_those_of_one_job_and_part(name: str) -> None:
    templates = [template["metadata"]["labels"] for _, template in pods(name)]
    for item in rendered(name):
        if item["kind"] == "Service":
            chosen = item["spec"]["selector"]
        elif item["kind"] in {"Deployment", "PodDisruptionBudget"}:
            chosen = item["spec"]["selector"]["matchLabels"]
        else:
            continue
        assert JOB in chosen and PART in chosen
        assert len([labels for labels in templates if chosen.items() <= labels.items()]) == 1, item["metadata"]["name"]


@pytest.mark.parametrize("name", ARE_PODS)
def test_every_reference_leads_to_something(name: str) -> None:
    maps = {item["metadata"]["name"] for item in rendered(name) if item["kind"] == "ConfigMap"}
    places = (*rendered("local/team"), *rendered(name))
    accounts = {item["metadata"]["name"] for item in places if item["kind"] == "ServiceAccount"}
    priorities = {item["metadata"]["name"] for item in rendered("local/team") if item["kind"] == "PriorityClass"}
    for where, template in pods(name):
        pod = template["spec"]
        assert pod["serviceAccountName"] in accounts
        assert pod["priorityClassName"] in priorities
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        named = {volume["configMap"]["name"] for volume in volumes.values() if "configMap" in volume}
        for container in containers(pod):
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= set(volumes), where
            named |= {each["configMapRef"]["name"] for each in container.get("envFrom", ()) if "configMapRef" in each}
            references = (each.get("valueFrom", {}).get("configMapKeyRef") for each in container.get("env", ()))
            named |= {each["name"] for each in references if each}
        assert named <= maps, where


OF_SPARK = [name for name in JOBS if shape(name).startswith("spark-")]


@pytest.mark.parametrize("name", OF_SPARK)
def test_a_pod_that_spark_makes_is_restricted_and_may_log_in_to_the_broker(name: str) -> None:
    """Its tasks read the streams; Spark hands them none of its driver's variables."""
    made = dict(pods_of_spark(name))
    assert made
    for where, pod in made.items():
        (container,) = pod["spec"]["containers"]
        assert {"secretRef": {"name": "secrets", "optional": True}} in container.get("envFrom", ()), where
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert {SUITE, PART} <= set(pod["metadata"]["labels"])


@pytest.mark.parametrize("name", ARE_PODS)
def test_every_variable_in_an_argument_is_there(name: str) -> None:
    """Kubernetes leaves a variable that it does not know as it is written."""
    values = {item["metadata"]["name"]: item["data"] for item in rendered(name) if item["kind"] == "ConfigMap"}
    for where, template in pods(name):
        for container in containers(template["spec"]):
            known = set(variables(container))
            for each in container.get("envFrom", ()):
                known |= set(values.get(each.get("configMapRef", {}).get("name"), {}))
            used = set(re.findall(r"\$\(([A-Z_]+)\)", " ".join(container.get("args", ()))))
            assert used <= known, f"{where}, container {container['name']}"


@pytest.mark.parametrize("name", [name for name in JOBS if name in ARE_PODS])
def test_a_job_has_one_driver_and_never_two_at_once(name: str) -> None:
    driver = driver_of(rendered(name))
    if driver["kind"] == "Deployment":
        assert driver["spec"]["replicas"] == 1
        assert driver["spec"]["strategy"] == {"type": "Recreate"}
    if driver["kind"] == "CronJob":
        assert driver["spec"]["concurrencyPolicy"] == "Forbid"


@pytest.mark.parametrize("name", JOBS)
def test_the_command_line_writes_what_the_manifests_hold(name: str) -> None:
    folder = overlay_folder(name)
    instance = Instance("sessions", settings("sessions", Layers(folder / SETTINGS_FILE)))
    assert render(Kubectl.found(), folder, instance) == rendered(name)


@pytest.mark.parametrize("job", jobs())
def test_any_job_takes_the_place_of_the_one_in_the_overlay(job: str) -> None:
    wanted = settings(job, Layers(assignments=["parallelism=3", "out_of_orderness=5m"]))
    objects = render(
        Kubectl.found(), overlay_folder("local/flink-application"), Instance(job, wanted, {"SINK": "kafka://x"})
    )
    assert {item["metadata"]["labels"][JOB] for item in objects} == {job}
    assert "sessions" not in str([item for item in objects if job != "sessions"])
    (config,) = (item["data"] for item in objects if SETTINGS_FILE in item.get("data", {}))
    assert config["SINK"] == "kafka://x"
    assert yaml.safe_load(config[SETTINGS_FILE]) == {job: {"parallelism": 3, "out_of_orderness": 300_000}}
    (workers,) = (
        item for item in objects if item["metadata"]["name"] == f"{job}-taskmanager" and "replicas" in item["spec"]
    )
    assert workers["spec"]["replicas"] == 3


@pytest.mark.parametrize("name", JOBS)
def test_the_settings_of_an_overlay_are_valid(name: str) -> None:
    settings("sessions", Layers(OVERLAYS / name / SETTINGS_FILE))


@pytest.mark.parametrize("name", [name for name in JOBS if name in ARE_PODS and name.startswith("local/")])
def test_the_command_of_a_pod_is_one_that_the_command_line_takes(
    name: str, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pod's own arguments, with this machine's folders in the place of the pod's, up to the start of the engine."""
    template = template_of(driver_of(rendered(name)))
    assert template is not None
    (container,) = (each for each in template["spec"]["containers"] if each["name"] == CONTAINER)
    known = {"JOB": "sessions", "INPUT": str(sample), "SINK": ""}
    arguments = [re.sub(r"\$\(([A-Z_]+)\)", lambda found: known.get(found[1], "1"), each) for each in container["args"]]
    program, *line = [
        each.replace("/data/", f"{tmp_path}/").replace("/etc/adstream", str(OVERLAYS / name)) for each in arguments
    ]
    assert program == "adstream"
    assert invoke([*line, "--check"]) == ExitCode.OK
    assert "all checks passed" in capsys.readouterr().out
    assert not list(tmp_path.rglob("*.jsonl"))


def rules(name: str) -> dict[str, list[Object]]:
    return {item["metadata"]["name"]: item["rules"] for item in rendered(name) if item["kind"] == "Role"}


@pytest.mark.parametrize("name", [name for name in NAMES if shape(name) == "team"])
def test_roles_hold_what_is_needed_and_no_more(name: str) -> None:
    found = rules(name)
    assert set(found) == {"driver", "deployer"}
    for role, allowed in found.items():
        for rule in allowed:
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}, role
            assert not {"secrets", "serviceaccounts", "pods/exec", "roles", "rolebindings"} & set(rule["resources"]), (
                role
            )
    (pods_of_driver,) = (rule for rule in found["driver"] if "pods" in rule["resources"])
    assert {"create", "delete", "watch"} <= set(pods_of_driver["verbs"])
    assert not [rule for rule in found["deployer"] if "pods" in rule["resources"] and "create" in rule["verbs"]]


@pytest.mark.parametrize("name", [name for name in NAMES if shape(name) == "team"])
def test_a_team_is_kept_within_bounds(name: str) -> None:
    by_kind = {item["kind"]: item for item in rendered(name)}
    labels = by_kind["Namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    hard = by_kind["ResourceQuota"]["spec"]["hard"]
    assert {"pods", "requests.cpu", "requests.memory", "limits.memory", "requests.storage"} <= set(hard)
    assert hard["services.nodeports"] == hard["services.loadbalancers"] == "0"
    (limits,) = (each for each in by_kind["LimitRange"]["spec"]["limits"] if each["type"] == "Container")
    assert {"default", "defaultRequest", "max"} <= set(limits)
    policies = [item["spec"] for item in rendered(name) if item["kind"] == "NetworkPolicy"]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in policies, "what is not named is not closed"


@pytest.mark.parametrize("job", ["sessions", "billing"])
def test_a_flink_deployment_is_restricted_and_refers_to_what_there_is(job: str) -> None:
    """No API server here has its schema: these are the parts of it that a mistake would be dear in."""
    instance = Instance(job, settings(job, Layers()))
    objects = render(Kubectl.found(), overlay_folder("production/flink-operator"), instance)
    (config,) = (item["metadata"]["name"] for item in objects if item["kind"] == "ConfigMap")
    (spec,) = (item["spec"] for item in objects if item["kind"] == "FlinkDeployment")
    pod, (prepare,) = spec["podTemplate"]["spec"], spec["jobManager"]["podTemplate"]["spec"]["initContainers"]
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["enableServiceLinks"] is False
    for container in (*pod["containers"], prepare):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    named = [
        each["valueFrom"]["configMapKeyRef"]["name"]
        for each in prepare["env"]
        if "configMapKeyRef" in each.get("valueFrom", {})
    ]
    assert {*named, pod["volumes"][1]["configMap"]["name"]} == {config}
    assert spec["podTemplate"]["metadata"]["labels"] == {JOB: job, SUITE: "adstream"}
    assert prepare["image"] == spec["image"]
    assert spec["job"]["args"][-1] == f"/data/jobs/{job}/_run/spec.json"
    assert spec["job"]["upgradeMode"] == "stateless"


def test_places_differ_in_size_only_where_it_matters() -> None:
    """A base's shape reaches production as it was tried: the same kinds under the same names."""
    for name in JOBS:
        place, _, kind = name.partition("/")
        if place != "local" and f"local/{kind}" in NAMES:
            bare = [(item["kind"], re.sub("-[a-z0-9]{10}$", "", item["metadata"]["name"])) for item in rendered(name)]
            tried = rendered(f"local/{kind}")
            assert bare == [(item["kind"], re.sub("-[a-z0-9]{10}$", "", item["metadata"]["name"])) for item in tried]


def selects(selector: Object, labels: Object) -> bool:
    """Whether a selector of labels finds these."""
    wanted = {key: {value} for key, value in selector.get("matchLabels", {}).items()}
    for each in selector.get("matchExpressions", ()):
        assert each["operator"] == "In"
        wanted[each["key"]] = set(each["values"])
    return all(labels.get(key) in values for key, values in wanted.items())


def may_ask_the_api(labels: Object) -> bool:
    """Whether a team's network policies let a pod with these labels talk to the API server."""
    policies = [item["spec"] for item in rendered("local/team") if item["kind"] == "NetworkPolicy"]
    opened = [
        each
        for each in policies
        for egress in each.get("egress", ())
        if {"protocol": "TCP", "port": 6443} in egress.get("ports", ())
    ]
    return any(selects(each["podSelector"], labels) for each in opened)


@pytest.mark.parametrize("name", ARE_PODS)
def test_who_has_a_token_gets_through_to_the_api_server(name: str) -> None:
    for where, pod in (*pods(name), *pods_of_spark(name)):
        assert may_ask_the_api(pod["metadata"]["labels"]) or not pod["spec"]["automountServiceAccountToken"], where
