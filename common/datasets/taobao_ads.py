"""The Taobao ad display and click dataset (Alimama, on Tianchi) as streams."""

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

_RAW_SAMPLE = CsvKind("raw_sample.csv", ("user", "time_stamp", "adgroup_id", "nonclk", "clk"))
_AD_FEATURE = CsvKind("ad_feature.csv", ("adgroup_id", "cate_id"))

_LAST_SECOND = 253_402_300_799
"""The end of the year 9999: a time beyond it is in another unit."""


def import_taobao_ads(
    files: Sequence[Path], output: Path, file_format: FileFormat = "jsonl", period: int = DAY
) -> Imported:
    """Makes `ad-views`, `ad-clicks` and, with `ad_feature.csv`, `advertisements` of the Taobao dataset.

    Args:
        files: `raw_sample.csv` (user, time_stamp in seconds, adgroup_id, pid, nonclk, clk) and
            `ad_feature.csv` (adgroup_id, cate_id, campaign_id, customer, brand, price), under any
            names; pid and the last four are not read.
        output: The folder that gets a folder a stream.
        file_format: What the streams' files are.
        period: How much event time one file holds, in ms.

    Raises:
        AdstreamError: See `import_dataset`.
    """
    dataset = Dataset(_RAW_SAMPLE, _AD_FEATURE, _impressions, _advertisements)
    return import_dataset(dataset, files, output, file_format, period)


def _impressions(rows: pa.Table, rejected: Rejected) -> pa.Table:
    clear = pc.and_(pc.equal(pc.add(rows["clk"], rows["nonclk"]), 1), pc.less_equal(rows["clk"], 1))
    rows = keep(rows, clear, "raw_sample: 'clk' and 'nonclk' are not 0 and 1", "clk", rejected)
    seconds = pc.less_equal(rows["time_stamp"], _LAST_SECOND)
    rows = keep(rows, seconds, "raw_sample: 'time_stamp' is not in seconds", "time_stamp", rejected)
    columns = [
        rows["user"].cast(pa.string()),
        pc.multiply(rows["time_stamp"], 1_000),
        rows["adgroup_id"],
        always(rows.num_rows),
        pc.equal(rows["clk"], 1),
    ]
    return pa.table(columns, schema=IMPRESSIONS)


def _advertisements(rows: pa.Table, rejected: Rejected) -> pa.Table:
    return advertisement_records(rows["adgroup_id"], "ad", rows["cate_id"])
