from __future__ import annotations

import pytest

from common.config.jobs import jobs, settings_type, topology_of
from common.errors import AdstreamError


def test_jobs_are_the_folders_with_a_topology() -> None:
    assert "sessions" in jobs()


@pytest.mark.parametrize("job", jobs())
def test_every_job_builds_a_topology_of_its_name_from_its_defaults(job: str) -> None:
    assert topology_of(job, settings_type(job)()).name == job


@pytest.mark.parametrize("job", ["sesions", "../sessions", "", "settings.Settings"])
def test_a_job_that_is_none_is_refused(job: str) -> None:
    with pytest.raises(AdstreamError, match="unknown job"):
        settings_type(job)
