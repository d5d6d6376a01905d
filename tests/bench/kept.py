"""What it costs to keep many open sessions: `python -m tests.bench.kept SESSIONS FOLDER RESULT`, on the local engine.

Every session is opened in the first step. Those that follow add some events to some of them, and close none.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from common.contracts.contract import load
from common.datasets.output import contract_encoder
from common.engines.local.translate import run
from common.runtime.checkpoint import Checkpoint
from common.runtime.run import Run
from common.runtime.spec import JobSpec
from tests.bench.inputs import STREAMS

STEPS = 5
"""How many are measured."""
EVENTS = 20_000
"""How many a step has."""
START, MINUTE = 1_767_225_600_000, 60_000


@dataclass(frozen=True)
class Kept:
    """What was measured.

    Attributes:
        sessions: How many are open.
        size: How many bytes the checkpoint has.
        written: How many bytes of it a step writes, in the median.
        step: How long a step takes, in seconds, in the median;
        saving: and for how long of that something is written or saved, by whichever thread.
        recovery: How long a run takes that goes on from the checkpoint, to the end of its first step, without the start
            of its process.
        open_seconds: How long the first step takes, which opens all.
    """

    sessions: int
    size: int
    written: int
    step: float
    saving: float
    recovery: float
    open_seconds: float

    @classmethod
    def load(cls, path: Path) -> Kept:
        """Reads what `main` left."""
        return cls(**json.loads(path.read_text()))


class Stopwatch(logging.Handler):
    """Times the steps of a run, and what of them goes into the checkpoint."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        self.steps: list[float] = []
        self.saving: list[float] = []
        self.written: list[int] = []
        self._checkpoint = checkpoint
        self._spent = 0.0
        self._last = time.monotonic()

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose time counts as saving."""

        def call(*arguments: Any) -> Any:
            started = time.monotonic()
            try:
                return function(*arguments)
            finally:
                self._spent += time.monotonic() - started

        return call

    def completed(self, save: Callable[..., Any]) -> Callable[..., Any]:
        """`Run.save`, with which a step ends."""
        saved = self.timed(save)

        def call(run: Run, manifest: Any) -> None:
            folder = self._checkpoint / "state" / f"{manifest.step - 1:09d}"
            self.written.append(sum(file.stat().st_size for file in folder.glob("*")))
            saved(run, manifest)
            now = time.monotonic()
            self.steps.append(now - self._last)
            self.saving.append(self._spent)
            self._last, self._spent = now, 0.0

        return call


def main(sessions: int, folder: Path, result: Path) -> None:
    """Measures with so many open sessions, below a folder."""
    for step in range(STEPS + 1):
        _arrive(folder / "in", step, sessions)
    kept = folder / "kept"
    spec = JobSpec(
        "sessions",
        "local",
        "stream",
        str(folder / "in"),
        str(folder / "out"),
        str(kept),
        "parquet",
        until_caught_up=True,
    )
    watch = Stopwatch(kept)
    Checkpoint.write_state = watch.timed(Checkpoint.write_state)  # type: ignore[method-assign]
    Run.save = watch.completed(Run.save)  # type: ignore[method-assign]
    run(spec)
    manifest = Checkpoint(kept).load()
    assert manifest is not None
    size = sum((kept / name).stat().st_size for name in manifest.files())
    _arrive(folder / "in", STEPS + 1, sessions)
    started = time.monotonic()
    run(spec)
    measured = Kept(
        sessions=sessions,
        size=size,
        written=int(median(watch.written[1:-1])),
        step=median(watch.steps[1:-1]),
        saving=median(watch.saving[1:-1]),
        recovery=time.monotonic() - started,
        open_seconds=watch.steps[0],
    )
    result.write_text(json.dumps(asdict(measured)))


def _arrive(root: Path, step: int, sessions: int) -> None:
    """A file of each stream: in the first step something of every user, later of some."""
    rng = np.random.default_rng(step)
    for number, stream in enumerate(STREAMS):
        users = np.arange(sessions) if step == 0 else rng.integers(0, sessions, EVENTS // 2)
        if step == 0 and number == 1:
            users = users[:1]
        times = START + step * MINUTE + rng.integers(0, MINUTE, len(users))
        value = pa.StructArray.from_arrays(
            [pa.array(rng.integers(0, 1000, len(users))), pa.array(times)], ["advertisementId", "createdEventTime"]
        )
        schema = load(stream).arrow
        keys = pa.array(np.char.add("u", users.astype("U9")))
        table = pa.table([keys, value.cast(schema.field("value").type)], schema=schema)
        path = root / stream / f"{step:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        encoder = contract_encoder(path, stream)
        encoder.write(table)
        encoder.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
