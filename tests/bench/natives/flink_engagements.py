"""Engagements by hand on Flink: SQL, conversions by advertisement FULL OUTER JOIN the advertisements, as a changelog."""

from __future__ import annotations

from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment

from tests.bench.natives.order import Order

SESSIONS = """
CREATE TABLE `ad-sessions` (
  `value` ROW<actions ARRAY<ROW<eventTime BIGINT, advertisementId BIGINT, `action` STRING>>>,
  actions AS `value`.actions
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'parquet')
"""
ADVERTISEMENTS = """
CREATE TABLE advertisements (
  `key` BIGINT, `value` ROW<`name` STRING, `type` STRING>
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'parquet')
"""
# Of Flink's formats for files, only those of change data capture take updates.
SINK = """
CREATE TABLE engagements (
  id BIGINT, `sum` BIGINT, `name` STRING, `type` STRING
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'debezium-json')
"""
# Right as long as nobody clicks an advertisement twice in a session; else it takes a function in Java.
CONVERSIONS = """
CREATE TEMPORARY VIEW conversions AS
SELECT v.ad
FROM `ad-sessions`
CROSS JOIN UNNEST(actions) AS v (ms, ad, act)
CROSS JOIN UNNEST(actions) AS c (ms, ad, act)
WHERE v.act = 'View' AND c.act = 'Click' AND v.ad = c.ad AND v.ms <= c.ms
"""
INSERT = """
INSERT INTO engagements
SELECT COALESCE(s.ad, a.`key`), s.`sum`, a.`value`.`name`, a.`value`.`type`
FROM (SELECT ad, COUNT(*) AS `sum` FROM conversions GROUP BY ad) AS s
FULL OUTER JOIN advertisements AS a ON s.ad = a.`key`
"""


def stream(source: Path, output: Path, tasks: int, jars: str) -> tuple[()]:
    """The engagements of a folder of Parquet streams, to a changelog of JSON lines.

    Args:
        source: The folder of streams.
        output: Where the engagements go.
        tasks: How many tasks run side by side.
        jars: What Parquet needs, as URLs with semicolons in between.
    """
    table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    settings = table.get_config()
    for name, value in {
        "parallelism.default": str(tasks),
        "pipeline.jars": jars,
        "pipeline.object-reuse": "true",
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": "1 s",
        "table.exec.mini-batch.size": "5000",
    }.items():
        settings.set(name, value)
    table.execute_sql(SESSIONS.format(path=source / "ad-sessions"))
    table.execute_sql(ADVERTISEMENTS.format(path=source / "advertisements"))
    table.execute_sql(SINK.format(path=output / "engagements"))
    table.execute_sql(CONVERSIONS)
    table.execute_sql(INSERT).wait()
    return ()


if __name__ == "__main__":
    order = Order.given()
    order.carry_out(lambda output: stream(order.source, output, **order.options))
