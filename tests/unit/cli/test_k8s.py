"""What the commands about Kubernetes refuse before a cluster is asked."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Adstream

PLACE = ("sessions", "--overlay", "local/flink-application")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (("scale", *PLACE, "--parallelism", 0), "--parallelism is 0: give at least 1, and at most 32768"),
        (("logs", *PLACE, "--lines", "-5"), "--lines is -5: give at least 0, or -1 for all"),
    ],
)
def test_a_wrong_number_is_refused_without_a_cluster(
    adstream: Adstream, monkeypatch: pytest.MonkeyPatch, line: tuple[object, ...], message: str
) -> None:
    def asked(*_: object, **__: object) -> None:
        raise AssertionError("the cluster was asked")

    monkeypatch.setattr("common.cli.k8s.target", asked)
    monkeypatch.setattr("common.cli.k8s.live_target", asked)
    said = adstream("k8s", *line)
    assert (said.code, said.error) == (2, f"adstream: {message}")
