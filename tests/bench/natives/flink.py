"""Sessions by hand on Flink: the SQL `SESSION` window and `ARRAY_AGG`. It runs in the Flink environment."""

from __future__ import annotations

from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

from tests.bench.natives.order import Order

# Flink's Parquet reader has no timestamps of 64 bits inside rows: they are read as numbers.
TABLE = """
CREATE TABLE `{stream}` (
  `key` STRING,
  `value` ROW<advertisementId BIGINT, createdEventTime BIGINT>,
  `time` AS TO_TIMESTAMP_LTZ(`value`.createdEventTime, 3),
  WATERMARK FOR `time` AS `time` - INTERVAL '{delay}' HOUR
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'parquet')
"""
SINK = """
CREATE TABLE sessions (
  userId STRING, `start` TIMESTAMP_LTZ(3), `end` TIMESTAMP_LTZ(3),
  actions ARRAY<ROW<eventTime BIGINT, click INT, advertisementId BIGINT>>
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'parquet')
"""
ACTIONS = """
CREATE TEMPORARY VIEW actions AS
SELECT `key` AS userId, `time`, `value`.createdEventTime AS ms, 0 AS click, `value`.advertisementId AS ad FROM `ad-views`
UNION ALL
SELECT `key` AS userId, `time`, `value`.createdEventTime AS ms, 1 AS click, `value`.advertisementId AS ad FROM `ad-clicks`
"""
# ARRAY_AGG has no order that the runtime honours, so the actions come out as they arrived.
INSERT = """
INSERT INTO sessions
SELECT userId, CAST(window_start AS TIMESTAMP_LTZ(3)), CAST(window_end AS TIMESTAMP_LTZ(3)), ARRAY_AGG(ROW(ms, click, ad))
FROM TABLE(SESSION(TABLE actions PARTITION BY userId, DESCRIPTOR(`time`), INTERVAL '30' MINUTE))
GROUP BY userId, window_start, window_end
"""


def stream(source: Path, output: Path, delay: int, tasks: int, jars: str) -> tuple[()]:
    """All sessions of a folder of Parquet streams, to Parquet.

    Args:
        source: The folder of streams.
        output: Where the sessions go.
        delay: The watermark's delay in hours. The files of a folder are read in any order by several readers, so
            that it must be as long as all they hold, or the job drops what looks late.
        tasks: How many tasks run side by side.
        jars: What Parquet needs, as URLs with semicolons in between.
    """
    table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    settings = table.get_config()
    for name, value in {
        "parallelism.default": str(tasks),
        "pipeline.jars": jars,
        "pipeline.object-reuse": "true",
        "table.local-time-zone": "UTC",
    }.items():
        settings.set(name, value)
    for name in ("ad-views", "ad-clicks"):
        table.execute_sql(TABLE.format(stream=name, delay=delay, path=source / name))
    table.execute_sql(SINK.format(path=output / "sessions"))
    table.execute_sql(ACTIONS)
    table.execute_sql(INSERT).wait()
    return ()


if __name__ == "__main__":
    order = Order.given()
    order.carry_out(lambda output: stream(order.source, output, **order.options))
