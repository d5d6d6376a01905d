"""Engagements by hand on Spark: `foreachBatch` and a Delta `MERGE`, as Spark refuses the full outer join of streams."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.bench.natives.order import Order
from tests.bench.natives.spark import SETTINGS

SESSION = "value struct<actions: array<struct<eventTime: timestamp, advertisementId: long, action: string>>>"
ADVERTISEMENT = "key long, value struct<name: string, type: string>"
COLUMNS = "id long, sum long, name string, type string"
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # A small table, so that its log is soon read.
    "spark.databricks.delta.snapshotPartitions": "2",
}
CONVERTED = """
transform(
  filter(
    value.actions,
    v -> v.action = 'View' AND exists(
      value.actions,
      c -> c.action = 'Click' AND c.advertisementId = v.advertisementId AND c.eventTime >= v.eventTime
    )
  ),
  v -> v.advertisementId
)
"""
MERGE = """
MERGE INTO delta.`{path}` AS t USING changes AS c ON t.id = c.id
WHEN MATCHED THEN UPDATE SET
  sum = CASE WHEN c.sum IS NULL THEN t.sum ELSE coalesce(t.sum, 0) + c.sum END,
  name = coalesce(c.name, t.name),
  type = coalesce(c.type, t.type)
WHEN NOT MATCHED THEN INSERT (id, sum, name, type) VALUES (c.id, c.sum, c.name, c.type)
"""


def session(tasks: int, memory: str, jars: str) -> SparkSession:
    """A Spark session on this machine that knows Delta; `jars` are paths with commas in between."""
    builder = SparkSession.builder.master(f"local[{tasks}]").config("spark.driver.memory", memory)
    settings = SETTINGS | DELTA | {"spark.jars": jars, "spark.sql.shuffle.partitions": str(tasks)}
    return builder.config(map=settings).getOrCreate()


def stream(spark: SparkSession, source: Path, output: Path) -> tuple[float, ...]:
    """The engagements of a folder of streams, to a Delta table; gives the seconds of each micro-batch but the first."""
    path = output / "engagements"
    spark.createDataFrame([], COLUMNS).write.format("delta").save(str(path))

    def merge(changes: DataFrame, _: int) -> None:
        by_id = changes.groupBy("id").agg(
            F.sum("sum").alias("sum"),
            F.first("name", ignorenulls=True).alias("name"),
            F.first("type", ignorenulls=True).alias("type"),
        )
        by_id.createOrReplaceTempView("changes")
        changes.sparkSession.sql(MERGE.format(path=path))

    reader = spark.readStream.option("maxFilesPerTrigger", 1)
    sessions = reader.schema(SESSION).parquet(str(source / "ad-sessions"))
    advertisements = reader.schema(ADVERTISEMENT).parquet(str(source / "advertisements"))
    query = (
        _changes(sessions, advertisements)
        .writeStream.foreachBatch(merge)
        .option("checkpointLocation", str(output / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return tuple(progress.batchDuration / 1000 for progress in query.recentProgress[1:])


def _changes(sessions: DataFrame, advertisements: DataFrame) -> DataFrame:
    """A row a conversion, and a row an advertisement."""
    converted = sessions.select(F.explode(F.expr(CONVERTED)).alias("id"), F.lit(1).cast("long").alias("sum"))
    described = advertisements.select(F.col("key").alias("id"), "value.name", "value.type")
    return converted.unionByName(described, allowMissingColumns=True)


if __name__ == "__main__":
    order = Order.given()
    spark = session(**order.options)
    order.carry_out(lambda output: stream(spark, order.source, output))
