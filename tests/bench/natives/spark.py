"""Sessions by hand on Spark: `session_window` and `sort_array(collect_list(…))`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.bench.natives.order import Order

RECORD = "key string, value struct<advertisementId: long, createdEventTime: timestamp>"
STREAMS = {"ad-views": 0, "ad-clicks": 1}
GAP = "30 minutes"
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MILLIS",
    "spark.log.level": "ERROR",
}


def session(tasks: int, memory: str, more: Mapping[str, str] = MappingProxyType({})) -> SparkSession:
    """A Spark session on this machine, with as many shuffle partitions as tasks run side by side."""
    builder = SparkSession.builder.master(f"local[{tasks}]").config("spark.driver.memory", memory)
    settings = SETTINGS | {"spark.sql.shuffle.partitions": str(tasks), **more}
    return builder.config(map=settings).getOrCreate()


def batch(spark: SparkSession, source: Path, output: Path) -> tuple[()]:
    """All sessions of a folder of Parquet streams, to Parquet."""
    events = [_actions(spark.read.schema(RECORD).parquet(str(source / s)), a) for s, a in STREAMS.items()]
    _sessions(events[0].unionByName(events[1])).write.parquet(str(output / "sessions"))
    return ()


def stream(spark: SparkSession, source: Path, output: Path, delay: str) -> tuple[float, ...]:
    """The same, one file of each stream a micro-batch; gives the seconds of each micro-batch but the first.

    Args:
        spark: The session.
        source: The folder of streams.
        output: Where the sessions and the query's checkpoint go.
        delay: The watermark's delay: out-of-orderness and grace, since Spark has one word for both.
    """
    reader = spark.readStream.schema(RECORD).option("maxFilesPerTrigger", 1)
    events = [
        _actions(reader.parquet(str(source / s)), a).withWatermark("eventTime", delay) for s, a in STREAMS.items()
    ]
    query = (
        _sessions(events[0].unionByName(events[1]))
        .writeStream.outputMode("append")
        .format("parquet")
        .option("path", str(output / "sessions"))
        .option("checkpointLocation", str(output / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return tuple(progress.batchDuration / 1000 for progress in query.recentProgress[1:])


def _actions(records: DataFrame, click: int) -> DataFrame:
    return records.select(
        F.col("key").alias("userId"),
        F.col("value.createdEventTime").alias("eventTime"),
        F.lit(click).cast("byte").alias("click"),
        F.col("value.advertisementId").alias("advertisementId"),
    )


def _sessions(events: DataFrame) -> DataFrame:
    actions = F.sort_array(F.collect_list(F.struct("eventTime", "click", "advertisementId")))
    window = F.session_window("eventTime", GAP).alias("window")
    grouped = events.groupBy(window, "userId").agg(actions.alias("actions"))
    return grouped.select("userId", "window.start", "window.end", "actions")


if __name__ == "__main__":
    order = Order.given()
    delay = order.options.pop("delay", None)
    spark = session(**order.options)
    order.carry_out(
        lambda output: stream(spark, order.source, output, delay) if delay else batch(spark, order.source, output)
    )
