"""What a step costs that upserts into a Delta table: `python -m tests.bench.merged ROWS FOLDER RESULT`, and a merge by hand.

Both sides begin with a table of the same rows in one file, get the same changes in turns, and must end with the same rows.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import deltalake
import numpy as np
import pyarrow as pa

from common.contracts.contract import load
from common.tables import care
from common.tables.delta import DeltaTables
from common.tables.layout import DELETED, Layout
from common.tables.place import TablePlace

STREAM = "advertisements"
STEPS = 9
"""How many are measured, one more than that taken: the first opens and warms what both use."""
CHANGES = 1_000
NEW, GONE = 0.1, 0.05
"""What share of the changes are new keys, and tombstones."""
SEED = 7


@dataclass(frozen=True)
class Merged:
    """What was measured.

    Attributes:
        rows: How many rows the table has at the start.
        ours: How long a step takes from its staged part to its commit, in seconds, in the median;
        ours_most: and at most.
        by_hand: How long the merge by hand takes, in seconds, in the median;
        by_hand_most: and at most.
        size: How many bytes the table's files have at the start.
        written: How many bytes of new files a step of ours leaves, in the median.
    """

    rows: int
    ours: float
    ours_most: float
    by_hand: float
    by_hand_most: float
    size: int
    written: int

    @classmethod
    def load(cls, path: Path) -> Merged:
        """Reads what `main` left."""
        return cls(**json.loads(path.read_text()))


def main(rows: int, folder: Path, result: Path) -> None:
    """Measures with a table of so many rows, below a folder."""
    place, chance = TablePlace(str(folder / "tables")), np.random.default_rng(SEED)
    sink = DeltaTables(str(folder / "out"), place, {STREAM: Layout(load(STREAM))})
    _deliver(sink, 0, _records(np.arange(rows), np.zeros(rows, bool), 0))
    shutil.copytree(folder / "tables" / STREAM, folder / "hand")
    size, ours, by_hand, written = _bytes(folder), [], [], []
    for step in range(1, STEPS + 2):
        fresh = int(CHANGES * NEW)
        known = chance.choice(rows, CHANGES - fresh, replace=False)
        keys = np.concatenate([known, rows + step * fresh + np.arange(fresh)])
        records, before = _records(keys, chance.random(CHANGES) < GONE, step), _bytes(folder)
        ours.append(_deliver(sink, step, records))
        written.append(_bytes(folder) - before)
        by_hand.append(_merge(folder / "hand", sink.layouts[STREAM].rows(records)))
    assert care.content(place, STREAM).equals(care.content(TablePlace(str(folder)), "hand"))
    measured = Merged(
        rows, median(ours[1:]), max(ours[1:]), median(by_hand[1:]), max(by_hand[1:]), size, int(median(written[1:]))
    )
    result.write_text(json.dumps(asdict(measured)))


def _records(keys: np.ndarray, gone: np.ndarray, step: int) -> pa.Table:
    """Advertisements by key, some as tombstones."""
    schema = load(STREAM).arrow
    names = pa.array(np.char.add(f"item {step} of ", keys.astype("U9")))
    kinds = pa.array(np.array(["Pets", "Toys", "Food"])[keys % 3])
    given = {"name": names, "type": kinds}
    kind = schema.field("value").type
    value = pa.StructArray.from_arrays(
        [
            given[child.name].cast(child.type) if child.name in given else pa.nulls(len(keys), child.type)
            for child in kind
        ],
        fields=list(kind),
        mask=pa.array(gone),
    )
    return pa.table([pa.array(keys).cast(schema.field("key").type), value], schema=schema)


def _deliver(sink: DeltaTables, step: int, records: pa.Table) -> float:
    """Lands a step; gives the seconds from its staged part on."""
    with sink.writer(f"{step:09d}", "p0") as writer:
        writer.write({STREAM: records})
    return _timed(lambda: sink.deliver(f"{step:09d}", writer.parts))


def _merge(folder: Path, rows: pa.Table) -> float:
    """The merge by hand; gives its seconds."""
    columns = [name for name in rows.column_names if name != DELETED]

    def merge() -> None:
        into = deltalake.DeltaTable(str(folder)).merge(rows, "t.key = s.key", source_alias="s", target_alias="t")
        values = {name: f"s.{name}" for name in columns}
        into = into.when_matched_delete(f"s.{DELETED}").when_matched_update(values, f"NOT s.{DELETED}")
        into.when_not_matched_insert(values, f"NOT s.{DELETED}").execute()

    return _timed(merge)


def _timed(what: Callable[[], object]) -> float:
    started = time.monotonic()
    what()
    return time.monotonic() - started


def _bytes(folder: Path) -> int:
    """The bytes of all data files of our table."""
    return sum(file.stat().st_size for file in (folder / "tables" / STREAM).glob("*.parquet"))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
