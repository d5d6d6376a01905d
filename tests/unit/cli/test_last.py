from __future__ import annotations

from pathlib import Path

import pytest

from common.cli.last import last_spec
from common.errors import AdstreamError
from common.runtime.spec import SPEC


@pytest.mark.parametrize("content", ["{", "[]", '{"job": "sessions", "of another version": 1}'])
def test_a_run_that_can_not_be_read_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / SPEC
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(AdstreamError, match="can't be read"):
        last_spec("sessions", tmp_path)


def test_so_is_an_output_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(AdstreamError, match="no run is known there"):
        last_spec("sessions", tmp_path)
