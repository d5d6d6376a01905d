"""A relay and the folder that it begins in."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from common.databases.relay import Relay, contracts
from common.errors import AdstreamError
from common.streams.sink import FORMATS, Sink, open_sink
from common.streams.staging import Part

STREAM = "advertisements"
TAKEN = pa.schema([("id", pa.int64()), ("stream", pa.string()), ("key", pa.string()), ("value", pa.string())])


class Outbox:
    """The database of an outbox that is at a step; `taken` are the rows of that step."""

    where = "shop"

    def __init__(self, step: int, taken: int = 0) -> None:
        self._step, self._taken = step, taken

    def rows(self, query: str) -> pa.Table:
        if "pg_try_advisory_lock" in query:
            return pa.table({"free": [True]})
        if "FROM outbox_relay" in query:
            return pa.table({"step": [self._step]})
        row = {"id": 1, "stream": STREAM, "key": "1", "value": None}
        return pa.Table.from_pylist([row] * self._taken, schema=TAKEN)


def deliver(sink: Sink, step: str) -> tuple[Part, ...]:
    with sink.writer(step, "p0") as writer:
        writer.write({STREAM: pa.Table.from_pylist([{"key": 1, "value": None}], sink.contracts[STREAM].arrow)})  # type: ignore[attr-defined]
    sink.deliver(step, writer.parts)
    return writer.parts


def files(root: Path) -> list[str]:
    return sorted(path.name for path in (root / STREAM).glob("0*"))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("step", [0, 1])
def test_a_folder_that_holds_other_steps_is_refused_and_left_as_it_is(tmp_path: Path, kind: str, step: int) -> None:
    sink = open_sink(tmp_path, kind, contracts())
    for each in range(2):
        deliver(sink, f"{each:09d}")
    before = files(tmp_path)
    with pytest.raises(AdstreamError, match=f"'{tmp_path}' has steps up to 1, but the outbox at shop is at {step}"):
        Relay(Outbox(step), sink).open()  # type: ignore[arg-type]
    assert files(tmp_path) == before


@pytest.mark.parametrize("kind", FORMATS)
def test_a_step_that_was_delivered_before_a_kill_is_taken_again(tmp_path: Path, kind: str) -> None:
    sink = open_sink(tmp_path, kind, contracts())
    deliver(sink, "000000000")
    Relay(Outbox(0, taken=1), sink).open()  # type: ignore[arg-type]
    Relay(Outbox(1), sink).open()  # type: ignore[arg-type]
