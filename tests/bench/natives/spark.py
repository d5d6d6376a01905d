"""Sessions by hand on Spark: `session_window` and `sort_array(collect_list(…))`."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

RECORD = StructType(
    [
        StructField("key", StringType()),
        StructField(
            "value",
            StructType([StructField("advertisementId", LongType()), StructField("createdEventTime", LongType())]),
        ),
    ]
)
STREAMS = {"ad-views": "View", "ad-clicks": "Click"}


def batch(spark: SparkSession, source: Path, output: Path, gap: str = "30 minutes") -> None:
    """All sessions of a folder of Parquet streams, to Parquet."""
    events = [_actions(spark.read.schema(RECORD).parquet(str(source / s)), a) for s, a in STREAMS.items()]
    _sessions(events[0].unionByName(events[1]), gap).write.mode("overwrite").parquet(str(output))


def stream(spark: SparkSession, source: Path, output: Path, delay: str, gap: str = "30 minutes") -> list[float]:
    """The same, one file of each stream a micro-batch; gives the seconds of each micro-batch with events.

    Args:
        spark: The session.
        source: The folder of streams.
        output: Where the sessions and the query's checkpoint go.
        delay: The watermark's delay: out-of-orderness and grace, since Spark has one word for both.
        gap: The gap.
    """
    reader = spark.readStream.schema(RECORD).option("maxFilesPerTrigger", 1)
    events = [
        _actions(reader.parquet(str(source / s)), a).withWatermark("time", delay) for s, a in STREAMS.items()
    ]
    query = (
        _sessions(events[0].unionByName(events[1]), gap)
        .writeStream.outputMode("append")
        .format("parquet")
        .option("path", str(output / "sessions"))
        .option("checkpointLocation", str(output / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    progress = [p for p in query.recentProgress if p.numInputRows > 0]
    return [p.batchDuration / 1000 for p in progress]


def _actions(records: DataFrame, action: str) -> DataFrame:
    return records.select(
        F.col("key").alias("userId"),
        F.timestamp_millis("value.createdEventTime").alias("time"),
        F.lit(action).alias("action"),
        F.col("value.advertisementId").alias("advertisementId"),
    )


def _sessions(events: DataFrame, gap: str) -> DataFrame:
    action = F.struct("time", F.col("action") == "Click", "advertisementId")
    return events.groupBy(F.session_window("time", gap).alias("window"), "userId").agg(
        F.sort_array(F.collect_list(action)).alias("actions")
    )
