"""A table freed by hand on Spark: a partitioned JDBC read, a struct a row, Parquet."""

from __future__ import annotations

import sys

from pyspark.sql import functions as F

from tests.bench.natives.spark import session


def main(url: str, table: str, rows: str, tasks: str, memory: str, jar: str, output: str) -> None:
    """Frees a table of advertisements whose ids are 1 to `rows`."""
    spark = session(int(tasks), memory, {"spark.jars": jar})
    reader = spark.read.option("driver", "org.postgresql.Driver").option("fetchsize", 10_000)
    ids = {"column": "id", "lowerBound": 1, "upperBound": int(rows) + 1, "numPartitions": int(tasks)}
    found = reader.jdbc(url, table, **ids)
    value = F.when(~F.col("is_deleted"), F.struct("name", "type"))
    found.select(F.col("id").alias("key"), value.alias("value")).write.parquet(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
