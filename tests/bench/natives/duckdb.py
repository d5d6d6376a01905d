"""Sessions by hand on DuckDB: window functions, then a list a session."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tests.bench.natives.order import Order

EVENTS = """
SELECT key AS userId, epoch_ms(value.createdEventTime) AS t, {click} AS click, value.advertisementId AS ad
FROM read_parquet('{folder}/*.parquet')
"""
SESSIONS = """
COPY (
  WITH events AS ({views} UNION ALL {clicks}),
  marked AS (
    SELECT *, coalesce(t - lag(t) OVER w > {gap}, true)::INTEGER AS first
    FROM events WINDOW w AS (PARTITION BY userId ORDER BY t, click, ad)
  ),
  numbered AS (
    SELECT *, sum(first) OVER (PARTITION BY userId ORDER BY t, click, ad ROWS UNBOUNDED PRECEDING) AS session
    FROM marked
  )
  SELECT userId, make_timestamp_ms(min(t)) AS "start", make_timestamp_ms(max(t) + {gap}) AS "end",
    list({{'eventTime': make_timestamp_ms(t), 'click': click, 'advertisementId': ad}} ORDER BY t, click, ad) AS actions
  FROM numbered GROUP BY userId, session
) TO '{output}' (FORMAT parquet, COMPRESSION zstd)
"""


def batch(source: Path, output: Path, threads: int, gap_ms: int = 1_800_000) -> tuple[()]:
    """All sessions of a folder of Parquet streams, to Parquet."""
    (output / "sessions").mkdir(parents=True, exist_ok=True)
    views = EVENTS.format(folder=source / "ad-views", click="0::TINYINT")
    clicks = EVENTS.format(folder=source / "ad-clicks", click="1::TINYINT")
    with duckdb.connect(config={"threads": threads, "preserve_insertion_order": False}) as connection:
        connection.execute(
            SESSIONS.format(views=views, clicks=clicks, gap=gap_ms, output=output / "sessions" / "0.parquet")
        )
    return ()


if __name__ == "__main__":
    order = Order.given()
    order.carry_out(lambda output: batch(order.source, output, **order.options))
