from __future__ import annotations

import pytest

from common.errors import AdstreamError
from common.kubernetes.render import MANIFESTS, overlay_folder


@pytest.mark.parametrize("name", ["local/nosuch", "nowhere", "local/volumes", "local/flink-clusters"])
def test_only_overlays_of_a_job_are_offered_for_one_that_is_not_there(name: str) -> None:
    with pytest.raises(AdstreamError, match="--overlay: there is no") as caught:
        overlay_folder(name)
    offered = caught.value.remedy.removeprefix("choose one of ").removeprefix("did you mean '").removesuffix("'?")
    for overlay in offered.split(", "):
        assert "namePrefix" in (MANIFESTS / "overlays" / overlay / "kustomization.yaml").read_text()
        assert (MANIFESTS / "overlays" / overlay / "jobs.yaml").exists()
