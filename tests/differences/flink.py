"""What Flink's session windows answer: the SQL `SESSION` window, and the one of the DataStream API."""

from __future__ import annotations

import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from pyflink.common import Configuration, Duration, Row, Time, Types, WatermarkStrategy
from pyflink.common.watermark_strategy import TimestampAssigner
from pyflink.datastream import DataStream, OutputTag, ProcessWindowFunction, StreamExecutionEnvironment
from pyflink.datastream.window import EventTimeSessionWindows, TimeWindow
from pyflink.table import DataTypes, Schema, StreamTableEnvironment

from tests.differences.questions import CLOCK, GAP, QUESTIONS, USER, Answer, Question, session, short

ROOT = Path(__file__).parents[2]
WATERMARK_EVERY = 20
PAUSE_SECONDS = 0.2
"""Longer than the interval of the watermarks, so that one follows each event."""
ROW = Types.ROW_NAMED(["user", "time"], [Types.STRING(), Types.LONG()])
QUERY = f"""
SELECT `user`, UNIX_TIMESTAMP(CAST(window_start AS STRING)), UNIX_TIMESTAMP(CAST(window_end AS STRING)), COUNT(*)
FROM TABLE(SESSION(TABLE events PARTITION BY `user`, DESCRIPTOR(`at`), INTERVAL '{GAP // 1000}' SECOND))
GROUP BY `user`, window_start, window_end
"""


class EventTime(TimestampAssigner):
    """The time of an event."""

    def extract_timestamp(self, value: Row, record_timestamp: int) -> int:
        return value["time"]


class Count(ProcessWindowFunction):
    """A session as answers show it."""

    def process(self, key: str, context: ProcessWindowFunction.Context, elements: Iterable[Row]) -> Iterator[str]:
        window: TimeWindow = context.window()
        if key == USER:
            yield session(window.start, window.end, len(list(elements)))


def sql(question: Question) -> tuple[str, ...]:
    """The SQL window. It can't be told of a lateness."""
    environment = _environment()
    table = StreamTableEnvironment.create(environment)
    table.get_config().set("table.local-time-zone", "UTC")
    schema = (
        Schema.new_builder()
        .column("user", DataTypes.STRING())
        .column("time", DataTypes.BIGINT())
        .column_by_metadata("at", DataTypes.TIMESTAMP_LTZ(3), "rowtime")
        .watermark("at", "SOURCE_WATERMARK()")
        .build()
    )
    table.create_temporary_view("events", _events(environment, question), schema)
    if question.lateness:
        table.get_config().set("table.exec.emit.late-fire.enabled", "true")
        table.get_config().set("table.exec.emit.late-fire.delay", "0 ms")
        table.get_config().set("table.exec.emit.allow-lateness", f"{question.lateness} ms")
    with table.execute_sql(QUERY).collect() as rows:
        return tuple(session(int(row[1]) * 1000, int(row[2]) * 1000, row[3]) for row in rows if row[0] == USER)


def windows(question: Question) -> tuple[str, ...]:
    """The DataStream API's window; late events go to a side output."""
    environment = _environment()
    tag = OutputTag("late", Types.ROW_NAMED(["user", "time"], [Types.STRING(), Types.LONG()]))
    sessions = (
        _events(environment, question)
        .key_by(lambda event: event["user"], Types.STRING())
        .window(EventTimeSessionWindows.with_gap(Time.milliseconds(GAP)))
        .allowed_lateness(question.lateness)
        .side_output_late_data(tag)
        .process(Count(), Types.STRING())
    )
    late = sessions.get_side_output(tag).map(lambda event: f"late: {event['time']}", Types.STRING())
    with sessions.union(late).execute_and_collect() as results:
        return tuple(results)


def _environment() -> StreamExecutionEnvironment:
    configuration = Configuration()
    for name, value in {
        "python.execution-mode": "thread",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.pythonpath": f"{ROOT}:{sysconfig.get_paths()['purelib']}",
        "pipeline.auto-watermark-interval": f"{WATERMARK_EVERY} ms",
        "execution.buffer-timeout.interval": "0 ms",
        "parallelism.default": "1",
    }.items():
        configuration.set_string(name, value)
    return StreamExecutionEnvironment.get_execution_environment(configuration)


def _events(environment: StreamExecutionEnvironment, question: Question) -> DataStream:
    """The events; Flink's watermark is 1 ms behind the latest of them."""
    events: list[Row] = []
    for arrival in question.arrivals:
        events += [Row(USER, moment) for moment in arrival.times] + [Row(CLOCK, arrival.watermark + 1)]
    strategy = WatermarkStrategy.for_bounded_out_of_orderness(Duration.of_millis(0))
    return (
        environment.from_collection(events, ROW)
        .map(_slowly, ROW)
        .disable_chaining()  # while a task sleeps, it sends no watermark
        .assign_timestamps_and_watermarks(strategy.with_timestamp_assigner(EventTime()))
    )


def _slowly(event: Row) -> Row:
    time.sleep(PAUSE_SECONDS)
    return event


def main() -> None:
    """Prints an answer a line."""
    release = version("apache-flink")
    for name, job in ((f"Flink {release} SQL SESSION", sql), (f"Flink {release} DataStream session window", windows)):
        for question in QUESTIONS:
            try:
                seen = job(question)
            except Exception as error:  # noqa: BLE001 (whatever it refuses is an answer)
                seen = (short(error),)
            print(Answer(name, question.name, seen).line(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
