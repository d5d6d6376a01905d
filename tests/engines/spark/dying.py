"""`dying.py SPEC.json`: runs a spec on Spark, and dies without a warning in the middle of a step.

`DIE` says when: `staged:3` once all tasks of step 3 have written, `delivered:3` once its output is delivered too. In
both cases its checkpoint is not saved. All processes of the group die at once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

from common.engines.entry import entry
from common.engines.spark.translate import run
from common.runtime.checkpoint import Manifest
from common.runtime.clock import Clock
from common.runtime.run import BucketResult, Run
from common.streams.folder import Position
from common.streams.sink import Part
from common.streams.staging import step_name

MOMENT, STEP = os.environ["DIE"].split(":")
complete = Run.complete


def complete_or_die(
    self: Run,
    manifest: Manifest,
    position: Position,
    clock: Clock,
    results: Iterable[BucketResult],
    parts: Iterable[Part],
) -> Manifest:
    if manifest.step == int(STEP):
        if MOMENT == "delivered":
            self.sink.deliver(step_name(manifest.step), parts)
        os.killpg(0, signal.SIGKILL)
    return complete(self, manifest, position, clock, results, parts)


if __name__ == "__main__":
    Run.complete = complete_or_die  # type: ignore[method-assign]
    entry(run)
