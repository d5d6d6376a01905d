"""Sessions by hand on Beam: `Sessions` windows, `GroupByKey`, and a sort."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import Sessions, TimestampedValue

OUTPUT = pa.schema(
    [
        ("userId", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        (
            "actions",
            pa.list_(
                pa.struct([("eventTime", pa.int64()), ("action", pa.int8()), ("advertisementId", pa.int64())])
            ),
        ),
    ]
)


def batch(source: Path, output: Path, gap_ms: int = 1_800_000) -> None:
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
            | beam.io.WriteToParquet(str(output / "sessions"), OUTPUT)
        )


class _Actions(beam.PTransform):
    def __init__(self, folder: Path, action: int) -> None:
        super().__init__()
        self._folder, self._action = folder, action

    def expand(self, root: beam.Pipeline) -> beam.PCollection:
        action = self._action

        def stamped(record: dict) -> TimestampedValue:
            time, ad = record["value"]["createdEventTime"], record["value"]["advertisementId"]
            return TimestampedValue((record["key"], (time, action, ad)), time / 1000)

        return root | beam.io.ReadFromParquet(f"{self._folder}/*.parquet") | beam.Map(stamped)


class _Session(beam.DoFn):
    def process(
        self, element: tuple[str, Iterable[tuple[int, int, int]]], window: object = beam.DoFn.WindowParam
    ) -> Iterable[dict]:
        user, actions = element
        ordered = sorted(actions)
        yield {
            "userId": user,
            "start": int(window.start.micros // 1000),
            "end": int(window.end.micros // 1000),
            "actions": [{"eventTime": t, "action": a, "advertisementId": ad} for t, a, ad in ordered],
        }
