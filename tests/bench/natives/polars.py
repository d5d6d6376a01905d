"""Sessions by hand on Polars: sort, mark where a session begins, then a list a session."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.bench.natives.order import Order


def batch(source: Path, output: Path, gap_ms: int = 1_800_000) -> tuple[()]:
    """All sessions of a folder of Parquet streams, to Parquet."""
    (output / "sessions").mkdir(parents=True, exist_ok=True)
    gap = pl.duration(milliseconds=gap_ms)
    events = pl.concat([_actions(source / "ad-views", 0), _actions(source / "ad-clicks", 1)])
    ordered = events.sort("userId", "eventTime", "click", "advertisementId")
    first = (pl.col("userId") != pl.col("userId").shift()) | (pl.col("eventTime").diff() > gap)
    numbered = ordered.with_columns(first.fill_null(value=True).cum_sum().alias("session"))
    sessions = numbered.group_by("session", maintain_order=True).agg(
        pl.col("userId").first(),
        pl.col("eventTime").first().alias("start"),
        (pl.col("eventTime").last() + gap).alias("end"),
        pl.struct("eventTime", "click", "advertisementId").alias("actions"),
    )
    sessions.select("userId", "start", "end", "actions").sink_parquet(
        output / "sessions" / "0.parquet", compression="zstd"
    )
    return ()


def _actions(folder: Path, click: int) -> pl.LazyFrame:
    return pl.scan_parquet(folder / "*.parquet").select(
        pl.col("key").alias("userId"),
        pl.col("value").struct.field("createdEventTime").alias("eventTime"),
        pl.lit(click, pl.Int8).alias("click"),
        pl.col("value").struct.field("advertisementId"),
    )


if __name__ == "__main__":
    order = Order.given()
    order.carry_out(lambda output: batch(order.source, output, **order.options))
