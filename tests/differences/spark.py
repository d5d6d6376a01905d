"""What Spark's `session_window` answers, in a streaming query."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pyspark
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tests.differences.questions import CLOCK, GAP, QUESTIONS, USER, Answer, Question, session, short

LATER = 10**9


def answer(spark: SparkSession, question: Question, folder: Path) -> tuple[str, ...]:
    """Runs a query an arrival, from one checkpoint: each ends with the batch without data that the watermark calls for."""
    seen: list[str] = []
    arrivals = [(arrival.times, arrival.watermark) for arrival in question.arrivals]
    for number, (times, watermark) in enumerate([*arrivals, ((), LATER)]):
        rows = [{"user": USER, "time": time} for time in times] + [{"user": CLOCK, "time": watermark}]
        path = folder / "input" / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(json.dumps, rows)))
        try:
            dropped = _catch_up(spark, question, folder, seen)
        except PySparkException as error:
            return (short(error),)
        seen += [f"rows dropped: {dropped}"] if dropped else []
    return tuple(seen)


def _catch_up(spark: SparkSession, question: Question, folder: Path, seen: list[str]) -> int:
    """Takes what has arrived; gives how many rows Spark dropped as late."""

    def take(rows: DataFrame, batch: int) -> None:
        found = rows.where(F.col("user") == USER).orderBy("window").collect()
        seen.extend(session(*(int(moment.timestamp() * 1000) for moment in row.window), row["count"]) for row in found)

    events = spark.readStream.schema("user string, time long").json(str(folder / "input"))
    timed = events.withColumn("time", F.timestamp_millis("time")).withWatermark(
        "time", f"{question.lateness} milliseconds"
    )
    window = F.session_window("time", f"{GAP} milliseconds").alias("window")
    query = (
        timed.groupBy("user", window)
        .count()
        .writeStream.outputMode("update" if question.lateness else "append")
        .option("checkpointLocation", str(folder / "checkpoint"))
        .trigger(availableNow=True)
        .foreachBatch(take)
        .start()
    )
    query.awaitTermination()
    return sum(int(state.numRowsDroppedByWatermark) for done in query.recentProgress for state in done.stateOperators)


def main() -> None:
    """Prints an answer a line."""
    settings = {
        "spark.ui.enabled": "false",
        "spark.log.level": "OFF",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
    }
    spark = SparkSession.builder.master("local[1]").config(map=settings).getOrCreate()
    with tempfile.TemporaryDirectory() as folder:
        for question in QUESTIONS:
            seen = answer(spark, question, Path(folder, question.name))
            print(Answer(f"Spark {pyspark.__version__} session_window", question.name, seen).line(), flush=True)
    spark.stop()


if __name__ == "__main__":
    sys.exit(main())
