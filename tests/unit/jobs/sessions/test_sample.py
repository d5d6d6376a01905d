"""The bundled sample of real views and clicks, against the oracle."""

from __future__ import annotations

import csv
from pathlib import Path

from common.contracts.contract import load
from common.datasets.open_bandit import import_open_bandit
from common.engines.local.translate import run
from common.runtime.spec import JobSpec
from common.streams.columns import timestamps_to_ms
from common.streams.materialise import table
from tests.conformance.oracle import Event, Oracle, Table

SAMPLE = Path("tests/data/open-bandit")
GAP = 1_800_000


def test_the_sample_gives_the_oracles_sessions(tmp_path: Path) -> None:
    import_open_bandit([SAMPLE / "impressions.csv", SAMPLE / "items.csv"], tmp_path / "in")
    batch, stream = (_run(tmp_path, mode) for mode in ("batch", "stream"))
    oracle = Oracle(GAP, grace=GAP)
    oracle.accepted = _events()
    expected = oracle.table(2**62)
    assert batch == expected
    assert stream == expected
    assert len(expected) == 5_035


def _run(folder: Path, mode: str) -> Table:
    output = folder / mode
    drains = mode == "stream"
    run(
        JobSpec(
            job="sessions",
            engine="local",
            mode="stream" if drains else "batch",
            input=str(folder / "in"),
            output=str(output),
            checkpoint=str(output / "_checkpoint"),
            settings={"buckets": 4},
            until_caught_up=drains,
            drain=drains,
        )
    )
    sessions = table(output, "ad-sessions", load("ad-sessions")).combine_chunks()
    key, actions = sessions["key"].chunk(0), sessions["value"].chunk(0).field("actions")
    flat = actions.flatten()
    times = timestamps_to_ms(flat.field("eventTime")).to_pylist()
    codes = [("View", "Click").index(action) for action in flat.field("action").to_pylist()]
    rows = list(zip(times, codes, flat.field("advertisementId").to_pylist(), strict=True))
    ends = actions.offsets.to_pylist()
    bounds = (timestamps_to_ms(key.field("window").field(name)).to_pylist() for name in ("start", "end"))
    keys = zip(key.field("userId").to_pylist(), *bounds, strict=True)
    return {k: rows[ends[place] : ends[place + 1]] for place, k in enumerate(keys)}


def _events() -> list[Event]:
    """Each row is a view; one with `click` 1 is a click too, of the same ms."""
    with (SAMPLE / "impressions.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [
        Event(row["user"], int(row["timestamp_ms"]), action, int(row["item_id"]))
        for row in rows
        for action in range(1 + int(row["click"]))
    ]
