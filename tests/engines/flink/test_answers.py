"""The Flink engine gives the local engine's answer, in either mode and whatever the late strategy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import AdstreamError, ExitCode
from common.runtime.spec import JobSpec
from tests.engines.flink.conftest import answer, end_on, run, write_steps

pytestmark = pytest.mark.flink


def test_batch_is_the_answer_of_the_local_engine(spec: JobSpec) -> None:
    write_steps(Path(spec.input), range(6))
    on_flink = replace(spec, mode="batch")
    on_local = end_on("local", on_flink)
    summary, reference = run(on_flink), run(on_local)
    assert answer(on_flink) == answer(on_local)
    assert summary.balanced and summary.metrics["records_in"] == reference.metrics["records_in"] > 0


@pytest.mark.parametrize("settings", [{"grace": "0"}, {"out_of_orderness": "100m", "grace": "0"}, {"grace": "2h"}])
def test_stream_is_the_answer_of_the_local_engine(spec: JobSpec, settings: dict[str, str]) -> None:
    write_steps(Path(spec.input), range(9))
    on_flink = replace(spec, drain=True, settings={**spec.settings, **settings})
    on_local = end_on("local", on_flink)
    summary, reference = run(on_flink), run(on_local)
    assert answer(on_flink) == answer(on_local)
    assert summary.metrics == reference.metrics and summary.steps == reference.steps
    assert summary.balanced


def test_a_stream_without_files_gives_nothing(spec: JobSpec) -> None:
    for stream in ("ad-views", "ad-clicks"):
        Path(spec.input, stream).mkdir(parents=True)
    assert run(replace(spec, mode="batch")).metrics["records_in"] == 0


def test_a_file_that_cannot_be_read_is_one_line(spec: JobSpec) -> None:
    write_steps(Path(spec.input), range(1))
    Path(spec.input, "ad-views", "00001.parquet").write_bytes(b"no such thing")
    with pytest.raises(AdstreamError, match=r"00001\.parquet") as refused:
        run(spec)
    assert refused.value.code is ExitCode.REFUSED
    assert "\n" not in str(refused.value)
