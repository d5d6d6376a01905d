"""Sessions by hand on Flink: the SQL `SESSION` window and `ARRAY_AGG`.

Run in the Flink environment, its arguments as JSON: `python tests/bench/natives/flink.py {"source": …, "output": …}`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

TABLE = """
CREATE TABLE `{stream}` (
  `key` STRING,
  `value` ROW<advertisementId BIGINT, createdEventTime BIGINT>,
  `time` AS TO_TIMESTAMP_LTZ(`value`.createdEventTime, 3),
  WATERMARK FOR `time` AS `time` - INTERVAL '{delay}' SECOND
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = '{format}')
"""
SINK = """
CREATE TABLE sessions (
  userId STRING, `start` TIMESTAMP(3), `end` TIMESTAMP(3), actions ARRAY<ROW<`time` BIGINT, click INT, ad BIGINT>>
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = '{format}')
"""
# ARRAY_AGG has no order that the runtime honours, so that the actions come out as they arrived.
INSERT = """
INSERT INTO sessions
SELECT userId, window_start, window_end, ARRAY_AGG(ROW(ms, click, ad))
FROM TABLE(SESSION(TABLE actions PARTITION BY userId, DESCRIPTOR(`time`), INTERVAL '{gap}' SECOND))
GROUP BY userId, window_start, window_end
"""


def run(source: Path, output: Path, delay: int, gap: int = 1800, form: str = "parquet", jars: str = "") -> float:
    """All sessions of a folder of streams; gives the seconds of the job itself."""
    table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    settings = table.get_config()
    settings.set("parallelism.default", "2")
    if jars:
        settings.set("pipeline.jars", jars)
    for stream in ("ad-views", "ad-clicks"):
        table.execute_sql(TABLE.format(stream=stream, delay=delay, path=source / stream, format=form))
    table.execute_sql(SINK.format(path=output / "sessions", format=form))
    columns = "`key` AS userId, `time`, `value`.createdEventTime AS ms, {click} AS click, `value`.advertisementId AS ad"
    table.execute_sql(
        f"CREATE TEMPORARY VIEW actions AS SELECT {columns.format(click=0)} FROM `ad-views` "
        f"UNION ALL SELECT {columns.format(click=1)} FROM `ad-clicks`"
    )
    started = time.monotonic()
    table.execute_sql(INSERT.format(gap=gap)).wait()
    return time.monotonic() - started


if __name__ == "__main__":
    arguments = json.loads(sys.argv[1])
    seconds = run(Path(arguments.pop("source")), Path(arguments.pop("output")), **arguments)
    print(json.dumps({"seconds": seconds}))
