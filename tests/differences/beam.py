"""What Beam's `Sessions` answers: bounded on FnApi, as a stream on the direct runner, and on Prism where it is found."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.prism_runner import PrismRunner
from apache_beam.runners.runner import PipelineRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms.trigger import AccumulationMode, DefaultTrigger
from apache_beam.transforms.window import Sessions, TimestampedValue

from common.engines.beam.runners import prism_binary
from tests.differences.questions import GAP, QUESTIONS, USER, Answer, Question, session, short


class Tell(beam.DoFn):
    """Appends a session, as answers show it, to a file: in the order of their emission."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, element: tuple[str, int], window: object = beam.DoFn.WindowParam) -> None:
        with Path(self._path).open("a") as file:
            file.write(session(window.start.micros // 1000, window.end.micros // 1000, element[1]) + "\n")


def bounded(
    question: Question, runner: Callable[[], PipelineRunner], options: dict[str, str], path: Path
) -> tuple[str, ...]:
    """All events at once; what arrives late has no meaning there."""
    times = [time for arrival in question.arrivals for time in arrival.times]
    with beam.Pipeline(runner=runner(), options=PipelineOptions.from_dictionary(options)) as pipeline:
        events = pipeline | beam.Create(times) | beam.Map(lambda time: TimestampedValue((USER, 1), time / 1000))
        _count(events, question, path)
    return tuple(path.read_text().splitlines())


def streamed(
    question: Question, runner: Callable[[], PipelineRunner], options: dict[str, str], path: Path
) -> tuple[str, ...]:
    """Arrival by arrival, the watermark moving in between."""
    stream = TestStream(coder=beam.coders.FastPrimitivesCoder())
    for arrival in question.arrivals:
        if arrival.times:
            stream = stream.add_elements([TimestampedValue((USER, 1), time / 1000) for time in arrival.times])
        stream = stream.advance_watermark_to(arrival.watermark / 1000)
    settings = PipelineOptions.from_dictionary({"streaming": True, "allow_unsafe_triggers": True, **options})
    with beam.Pipeline(runner=runner(), options=settings) as pipeline:
        _count(pipeline | stream.advance_watermark_to_infinity(), question, path)
    return tuple(path.read_text().splitlines())


def _count(events: beam.PCollection, question: Question, path: Path) -> None:
    path.touch()
    windowed = _lenient(question.lateness) if question.lateness else beam.WindowInto(Sessions(GAP / 1000))
    _ = (
        events
        | windowed
        | beam.GroupByKey()
        | beam.MapTuple(lambda user, ones: (user, sum(ones)))
        | beam.ParDo(Tell(str(path)))
    )


def _lenient(lateness: int) -> beam.WindowInto:
    """Windows that late events still change, each time in full."""
    return beam.WindowInto(
        Sessions(GAP / 1000),
        trigger=DefaultTrigger(),  # it fires again for each late event; neither runner takes another with sessions
        accumulation_mode=AccumulationMode.ACCUMULATING,
        allowed_lateness=lateness / 1000,
    )


def main() -> None:
    """Prints an answer a line."""
    prism = {"prism_location": prism_binary() or "", "environment_type": "LOOPBACK"}
    at_once = {"exact-gap", "redelivered"}
    runs = [
        ("FnApi, bounded", bounded, FnApiRunner, {}, at_once),
        ("direct runner, stream", streamed, BundleBasedDirectRunner, {}, None),
    ]
    if prism["prism_location"]:
        runs += [
            ("Prism, bounded", bounded, PrismRunner, prism, at_once),
            ("Prism, stream", streamed, PrismRunner, prism, None),
        ]
    with tempfile.TemporaryDirectory() as folder:
        for name, job, runner, options, names in runs:
            for question in QUESTIONS:
                if names is not None and question.name not in names:
                    continue
                try:
                    seen = job(question, runner, options, Path(folder, f"{name}-{question.name}"))
                except Exception as error:  # noqa: BLE001 (whatever it refuses is an answer)
                    seen = (short(error),)
                print(Answer(f"Beam {beam.__version__} Sessions, {name}", question.name, seen).line(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
