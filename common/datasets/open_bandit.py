"""The Open Bandit sample (ZOZO, Inc., CC BY 4.0; tests/data/open-bandit) as streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from common.datasets.csv_rows import CsvKind, Rejected
from common.datasets.impressions import (
    DAY,
    IMPRESSIONS,
    Dataset,
    Imported,
    advertisement_records,
    always,
    import_dataset,
    keep,
)
from common.datasets.output import FileFormat

_IMPRESSIONS = CsvKind("impressions.csv", ("timestamp_ms", "item_id", "click"), ("user",))
_ITEMS = CsvKind("items.csv", ("item_id",), ("category",))


def import_open_bandit(
    files: Sequence[Path], output: Path, file_format: FileFormat = "jsonl", period: int = DAY
) -> Imported:
    """Makes `ad-views`, `ad-clicks` and, with `items.csv`, `advertisements` of the Open Bandit sample.

    Args:
        files: `impressions.csv` (timestamp_ms, user, item_id, click) and `items.csv` (item_id,
            category), under any names; further columns are not read.
        output: The folder that gets a folder a stream.
        file_format: What the streams' files are.
        period: How much event time one file holds, in ms.

    Raises:
        AdstreamError: See `import_dataset`.
    """
    dataset = Dataset(_IMPRESSIONS, _ITEMS, _impressions, _advertisements)
    return import_dataset(dataset, files, output, file_format, period)


def _impressions(rows: pa.Table, rejected: Rejected) -> pa.Table:
    rows = keep(rows, pc.less_equal(rows["click"], 1), "impressions: 'click' is neither 0 nor 1", "click", rejected)
    columns = [rows["user"], rows["timestamp_ms"], rows["item_id"], always(rows.num_rows), pc.equal(rows["click"], 1)]
    return pa.table(columns, schema=IMPRESSIONS)


def _advertisements(rows: pa.Table, rejected: Rejected) -> pa.Table:
    return advertisement_records(rows["item_id"], "item", rows["category"])
