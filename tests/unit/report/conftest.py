from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.cli.main import invoke
from common.report.output import RunOutput

Made = Callable[..., RunOutput]


@pytest.fixture(scope="session")
def ads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up traffic with all that can be wrong with it."""
    root = tmp_path_factory.mktemp("generated") / "ads"
    shares = ["--late", "0.05", "--late-by", "4h", "--duplicates", "0.01", "--malformed", "0.01"]
    size = ["--events", "6000", "--users", "300", "--advertisements", "50", "--files", "6", "--span", "1d"]
    assert invoke(["generate", "--output", str(root), *size, *shares]) == 0
    return root


@pytest.fixture(scope="session")
def streamed(ads: Path, tmp_path_factory: pytest.TempPathFactory) -> RunOutput:
    """The bills of this traffic, step by step, on the local engine."""
    root = tmp_path_factory.mktemp("streamed")
    settings = ["--set", "grace=1h", "--set", "buckets=4"]
    where = ["--engine", "local", "--input", str(ads), "--output", str(root)]
    assert invoke(["run", "billing", *where, "--mode", "stream", "--drain", *settings]) == 0
    return RunOutput.load(root)
