from __future__ import annotations

import pickle
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.errors import AdstreamError, DefectError, ExitCode, UnavailableError, error_of, reason_of, told_in


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file or directory", "a/b"), "No such file or directory"),
        (OSError("a store does not answer\nat line 1"), "a store does not answer"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (ValueError("not JSON\nat line 1"), "not JSON"),
    ],
)
def test_a_reason_names_no_file_and_no_number(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_nor_does_that_of_a_library(tmp_path: Path) -> None:
    with pytest.raises((OSError, pa.ArrowException)) as raised:
        pq.ParquetFile(tmp_path / "none.parquet")
    assert reason_of(raised.value) == "No such file or directory"


@pytest.mark.parametrize(
    "trace",
    [
        "Job aborted:\nTraceback\n  raise {0}(\ncommon.errors.{0}: {1}\n\n\tat org.apache.spark.api.python.BasePythonRunner",
        'Traceback (most recent call last):\n  File "worker.py", line 1, in process\n{0}: {1}\n',
        "An error occurred.\nCaused by: pemja.core.PythonException: <class 'common.errors.{0}'>: {1}\n\tat <string>.step",
        "RuntimeError: Traceback (most recent call last):\ncommon.errors.{0}: {1} [while running 'Read/ParDo(Read)']\n",
    ],
)
@pytest.mark.parametrize("kind", [AdstreamError, UnavailableError, DefectError])
def test_what_a_task_raised_is_found_in_what_an_engine_tells_of_it(trace: str, kind: type[AdstreamError]) -> None:
    told = told_in(trace.format(kind.__name__, "'a.parquet' can't be read: write it again"))
    assert type(told) is kind and str(told) == "'a.parquet' can't be read: write it again"


def test_a_trace_of_others_tells_nothing() -> None:
    assert told_in("Traceback\n  raise AdstreamError(\nValueError: no AdstreamError here") is None


@pytest.mark.parametrize("code", [ExitCode.REFUSED, ExitCode.UNAVAILABLE, ExitCode.DEFECT, ExitCode.INTERRUPTED])
def test_a_failure_of_each_code_has_a_type(code: ExitCode) -> None:
    assert error_of(code)("no broker", "start one").code is code


def test_a_failure_keeps_its_remedy_when_it_is_pickled() -> None:
    there = pickle.loads(pickle.dumps(UnavailableError("no broker", "start one")))  # noqa: S301 its own
    assert (there.problem, there.remedy, there.code) == ("no broker", "start one", ExitCode.UNAVAILABLE)
