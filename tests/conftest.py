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


ONE_AT_A_TIME = ("spark", "flink", "beam")
"""Engines fill a machine, and share their start between tests: where tests run side by side, theirs go to one worker."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "conformance" in item.path.parts or any(map(item.get_closest_marker, ONE_AT_A_TIME)):
            item.add_marker(pytest.mark.xdist_group("engines"))


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled sample of real views and clicks, as a folder of streams. Not to be written to."""
    streams = tmp_path_factory.mktemp("open-bandit") / "streams"
    import_open_bandit(sorted((Path(__file__).parent / "data" / "open-bandit").glob("*.csv")), streams)
    return streams
