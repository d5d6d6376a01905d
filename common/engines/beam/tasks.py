"""Plain tasks on Beam: a pipeline for each group of them. A pipeline gives nothing back, so answers come by way of a folder."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import apache_beam as beam

from common.engines.beam.runners import Target
from common.engines.tasks import SideBySide, answered, answers
from common.files import staged
from common.runtime.spec import JobSpec

T = TypeVar("T")


@contextmanager
def opened(spec: JobSpec) -> Iterator[SideBySide]:
    """A context in which tasks run on the runner that the spec's options name; its workers see `spec.output`."""
    target = Target.resolve(spec)
    folder = Path(spec.output, "_run")
    folder.mkdir(parents=True, exist_ok=True)

    def run(tasks: Sequence[Callable[[], T]], /) -> list[T]:
        with TemporaryDirectory(prefix="answers-", dir=folder) as place:
            target.execute(_pipeline(target, tasks, Path(place)))
            return answers([_read(Path(place, str(number))) for number in range(len(tasks))])

    yield run


def _pipeline(target: Target, tasks: Sequence[Callable[[], Any]], place: Path) -> beam.Pipeline:
    pipeline = target.pipeline()
    numbered = pipeline | "Tasks" >> beam.Create(list(enumerate(tasks)), reshuffle=False)
    # Without the reshuffle the tasks would be fused with their creation, and done by one worker.
    _ = numbered | "Spread" >> beam.Reshuffle() | "Answers" >> beam.ParDo(_Answer(place))
    return pipeline


class _Answer(beam.DoFn):
    def __init__(self, place: Path) -> None:
        self._place = place

    def process(self, element: tuple[int, Callable[[], Any]]) -> None:
        number, task = element
        answer = pickle.dumps(answered(task))
        with staged(self._place / str(number)) as path:
            path.write_bytes(answer)


def _read(path: Path) -> Any:
    return pickle.loads(path.read_bytes())  # noqa: S301 (this run's own tasks wrote it)
