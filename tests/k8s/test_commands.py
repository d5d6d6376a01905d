"""`adstream k8s` without a cluster: what it prints, and what it refuses."""

from __future__ import annotations

import socket

import pytest
import yaml

from common.cli.main import invoke
from common.errors import ExitCode
from tests.k8s.rendered import rendered

Printed = pytest.CaptureFixture[str]


def test_what_is_printed_is_what_the_overlay_holds(capsys: Printed) -> None:
    assert invoke(["k8s", "render", "sessions", "--overlay", "staging/flink-application"]) == ExitCode.OK
    assert tuple(yaml.safe_load_all(capsys.readouterr().out)) == rendered("staging/flink-application")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["sesions", "--overlay", "local/beam"], "unknown job 'sesions': did you mean 'sessions'?"),
        (
            ["sessions", "--overlay", "local/flink-aplication"],
            "--overlay: there is no 'local/flink-aplication': did you mean 'local/flink-application'?",
        ),
        (["sessions", "--overlay", "local/team"], "the overlay is of no job"),
        (["sessions", "--overlay", "local/beam", "--set", "gap=soon"], "--set gap=soon: 'soon' is not a duration"),
        (["sessions", "--overlay", "local/beam", "--value", "OUTPUT=x"], "the overlay has no value 'OUTPUT'"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(capsys: Printed, arguments: list[str], error: str) -> None:
    assert invoke(["k8s", "render", *arguments]) == ExitCode.REFUSED
    (line,) = capsys.readouterr().err.splitlines()
    assert error in line


def test_a_cluster_that_is_not_there_is_named(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        cluster = {"server": f"https://127.0.0.1:{free.getsockname()[1]}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "away", "cluster": cluster}],
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "me"}}],
        "users": [{"name": "me", "user": {"token": "none"}}],
        "current-context": "away",
    }
    path = tmp_path_factory.mktemp("kube") / "config"
    path.write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(path))
    for command in ("status", "delete", "deploy"):
        assert invoke(["k8s", command, "sessions", "--overlay", "local/flink-application"]) == ExitCode.UNAVAILABLE
        assert "the cluster is not reached" in capsys.readouterr().err
