"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from common.datasets.open_bandit import import_open_bandit

# A worker of pytest-xdist inherits the width of its own report, which the command line would take for a terminal's.
os.environ.pop("COLUMNS", None)

# A busy machine is no failure, so no deadline; a run for a change gives the same examples each time.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = worker_of(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))


def worker_of(item: pytest.Item) -> str | None:
    """Whose worker a test goes to, where tests run side by side; None for anyone's.

    Spark and Flink fill a machine, so one of them runs at a time. What plays the conformance cases shares an engine's start.
    """
    if item.get_closest_marker("spark") or item.get_closest_marker("flink"):
        return "spark-or-flink"
    if item.get_closest_marker("beam"):
        return "beam"
    return "conformance" if "conformance" in item.path.parts else None


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled sample of real views and clicks, as a folder of streams. Not to be written to."""
    streams = tmp_path_factory.mktemp("open-bandit") / "streams"
    import_open_bandit(sorted((Path(__file__).parent / "data" / "open-bandit").glob("*.csv")), streams)
    return streams
