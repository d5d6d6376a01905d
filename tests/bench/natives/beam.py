"""Sessions by hand on Beam: `Sessions` windows, `GroupByKey`, and a sort."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import Sessions, TimestampedValue

from tests.bench.natives.order import Order

TIME = pa.timestamp("ms", tz="UTC")
ACTION = pa.struct([("eventTime", TIME), ("click", pa.int8()), ("advertisementId", pa.int64())])
OUTPUT = pa.schema([("userId", pa.string()), ("start", TIME), ("end", TIME), ("actions", pa.list_(ACTION))])
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MILLISECOND = timedelta(milliseconds=1)


def batch(source: Path, output: Path, gap_ms: int = 1_800_000) -> tuple[()]:
    """All sessions of a folder of Parquet streams, to Parquet, on the FnApi runner."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        views = pipeline | "views" >> _Actions(source / "ad-views", 0)
        clicks = pipeline | "clicks" >> _Actions(source / "ad-clicks", 1)
        (
            (views, clicks)
            | beam.Flatten()
            | beam.WindowInto(Sessions(gap_ms / 1000))
            | beam.GroupByKey()
            | beam.ParDo(_Session())
            | beam.io.WriteToParquet(str(output / "sessions" / "part"), OUTPUT, file_name_suffix=".parquet")
        )
    return ()


class _Actions(beam.PTransform):
    def __init__(self, folder: Path, click: int) -> None:
        super().__init__()
        self._folder, self._click = folder, click

    def expand(self, root: beam.Pipeline) -> beam.PCollection:
        click = self._click

        def stamped(record: dict) -> TimestampedValue:
            value = record["value"]
            time = (value["createdEventTime"] - EPOCH) // MILLISECOND
            return TimestampedValue((record["key"], (time, click, value["advertisementId"])), time / 1000)

        return root | beam.io.ReadFromParquet(f"{self._folder}/*.parquet") | beam.Map(stamped)


class _Session(beam.DoFn):
    def process(
        self, element: tuple[str, Iterable[tuple[int, int, int]]], window: object = beam.DoFn.WindowParam
    ) -> Iterable[dict]:
        user, actions = element
        yield {
            "userId": user,
            "start": window.start.micros // 1000,
            "end": window.end.micros // 1000,
            "actions": [{"eventTime": t, "click": c, "advertisementId": ad} for t, c, ad in sorted(actions)],
        }


if __name__ == "__main__":
    order = Order.given()
    order.carry_out(lambda output: batch(order.source, output, **order.options))
