"""What a team may and may not do, on a real API server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from common.cli.main import invoke
from common.errors import ExitCode
from tests.k8s.following import Following, arrived, drained, settings
from tests.k8s.rendered import NAMES
from tests.k8s.team import Team, team

pytestmark = pytest.mark.k8s

NAMESPACE, NEIGHBOUR = "adstream-cli-a", "adstream-cli-b"
STEPS = 24
EVENTS = 40
"""How many views and clicks a step of the neighbour's job has on average."""
SHAPES = ("flink-application", "flink-session", "beam", "spark-driver", "spark-batch", "spark-cluster-mode")
RESTRICTED: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": 185,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with team(NAMESPACE, tmp_path_factory.mktemp("here")) as made:
        yield made


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    with team(NEIGHBOUR, tmp_path_factory.mktemp("neighbour")) as made:
        yield made


def pod(name: str, memory: str = "64Mi", **container: Any) -> str:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    resources = {"requests": {"cpu": "10m", "memory": memory}, "limits": {"memory": memory}}
    one = {
        "name": "job",
        "image": "localhost/pause:1",
        "securityContext": security,
        "resources": resources,
        **container,
    }
    spec = {"securityContext": RESTRICTED, "automountServiceAccountToken": False, "containers": [one]}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize("shape", SHAPES)
def test_an_api_server_takes_every_shape_as_the_command_line_writes_it(
    here: Team, shape: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["k8s", "render", "billing", "--overlay", f"local/{shape}", "--namespace", NAMESPACE]) == ExitCode.OK
    said = here.kubectl("apply", "--dry-run=server", "--filename=-", text=capsys.readouterr().out)
    assert said
    assert all(line.endswith("created (server dry run)") for line in said.splitlines())


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("/team") and "production" not in name])
def test_an_api_server_takes_a_team(here: Team, name: str) -> None:
    assert invoke(["k8s", "render", "sessions", "--overlay", name]) == ExitCode.REFUSED
    text = here.kubectl("kustomize", f"k8s/overlays/{name}")
    others = [item for item in yaml.safe_load_all(text) if "namespace" not in item["metadata"]]
    rest = [{**item, "metadata": {**item["metadata"], "namespace": NAMESPACE}} for item in yaml.safe_load_all(text)]
    taken = [*others, *(item for item in rest if item["kind"] not in {"Namespace", "PriorityClass"})]
    said = here.kubectl("apply", "--dry-run=server", "--filename=-", text=yaml.safe_dump_all(taken))
    assert len(said.splitlines()) == len(taken)


def test_a_team_over_its_quota_is_refused_and_its_neighbour_s_job_goes_on(here: Team, neighbour: Team) -> None:
    assert "created" in here.said("apply", "--filename=-", text=pod("large-0", "5Gi"))
    assert "created" in here.said("apply", "--filename=-", text=pod("large-1", "5Gi"))
    refused_for_want_of_memory(here, "large-2")

    job, case = Following(neighbour, "driver", "executor"), arrived(neighbour, 17, STEPS, EVENTS)
    neighbour.apply(neighbour.render("spark-driver", settings(case), EXECUTORS_MIN="1"))
    leading = job.lead()
    job.reaches(STEPS // 4)
    refused_for_want_of_memory(here, "large-3")
    assert job.step < STEPS, "the team was refused too late to show anything"

    job.reaches(STEPS)
    assert (job.lead().uid, job.lead().restarts) == (leading.uid, 0)
    assert neighbour.running("executor")
    neighbour.kubectl("delete", "deployment", "sessions-driver")
    job.gone()
    drained(case, job)
    assert "created" in neighbour.said("apply", "--filename=-", text=pod("small"))
    assert "created" in neighbour.said("apply", "--filename=-", text=pod("large", "5Gi"))


def refused_for_want_of_memory(ads: Team, name: str) -> None:
    """Asks for a pod that the team's quota has no room for."""
    said = ads.said("apply", "--filename=-", text=pod(name, "5Gi"))
    assert "exceeded quota: team" in said
    assert "limits.memory" in said or "requests.memory" in said


def test_a_pod_larger_than_any_may_be_is_refused(here: Team) -> None:
    assert "maximum memory usage per Container is 16Gi" in here.said("apply", "--filename=-", text=pod("huge", "17Gi"))


@pytest.mark.parametrize(
    ("what", "container"),
    [
        ("privileged", {"securityContext": {"privileged": True}}),
        ("runAsNonRoot", {"securityContext": {"runAsNonRoot": False, "runAsUser": 0}}),
        ("unrestricted capabilities", {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}),
        ("hostPort", {"ports": [{"containerPort": 80, "hostPort": 80}]}),
    ],
)
def test_a_pod_that_is_not_restricted_is_refused(here: Team, what: str, container: dict[str, Any]) -> None:
    said = here.said("apply", "--filename=-", text=pod("unrestricted", **container))
    assert 'violates PodSecurity "restricted' in said
    assert what.lower() in said.lower()


@pytest.mark.parametrize(
    ("account", "verb", "thing", "allowed"),
    [
        ("driver", "create", "pods", True),
        ("driver", "delete", "pods", True),
        ("driver", "get", "secrets", False),
        ("driver", "list", "secrets", False),
        ("driver", "create", "pods/exec", False),
        ("driver", "create", "deployments.apps", False),
        ("driver", "create", "rolebindings.rbac.authorization.k8s.io", False),
        ("job", "get", "pods", False),
        ("job", "get", "configmaps", False),
        ("deployer", "patch", "deployments.apps", True),
        ("deployer", "get", "pods/proxy", True),
        ("deployer", "create", "pods", False),
        ("deployer", "get", "secrets", False),
        ("deployer", "create", "roles.rbac.authorization.k8s.io", False),
    ],
)
def test_an_account_may_do_its_work_and_no_more(here: Team, account: str, verb: str, thing: str, allowed: bool) -> None:
    who = f"--as=system:serviceaccount:{NAMESPACE}:{account}"
    kind, _, below = thing.partition("/")
    said = here.said("auth", "can-i", verb, kind, f"--subresource={below}", who)
    assert said.splitlines()[-1] == ("yes" if allowed else "no")


def test_a_driver_is_denied_a_secret_and_its_neighbour_s_pods(here: Team, neighbour: Team) -> None:
    here.kubectl("create", "secret", "generic", "secrets", "--from-literal=ADSTREAM_KAFKA_PASSWORD=x")
    who = f"--as=system:serviceaccount:{NAMESPACE}:driver"
    assert "Forbidden" in here.said("get", "secret", "secrets", who)
    assert "Forbidden" in neighbour.said("get", "pods", who)
    assert "Forbidden" in neighbour.said("apply", "--filename=-", who, text=pod("intruder"))
    assert "created" in here.said("apply", "--filename=-", who, text=pod("executor"))
