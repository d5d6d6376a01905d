"""The state of the buckets: in memory, and after each step in the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from common.runtime.bucket import BucketStep, Kept, Round
from common.runtime.checkpoint import Checkpoint, Manifest
from common.runtime.run import BucketResult


class States:
    """What the buckets hold between steps.

    Args:
        checkpoint: Where it was left by the last run, and is saved after each step.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint
        self._held: dict[tuple[int, int], Mapping[str, Kept]] = {}

    def get(self, manifest: Manifest, round_: Round, bucket: int) -> Mapping[str, Kept]:
        """What a bucket holds, by stage, as the last step left it."""
        place = (round_.number, bucket)
        if place not in self._held:
            kept = manifest.rounds[round_.number][bucket]
            self._held[place] = self._checkpoint.read_state(kept, round_.stages)
        return self._held[place]

    def put(self, step: int, round_: Round, bucket: int, done: BucketStep) -> BucketResult:
        """Keeps and saves what a bucket holds after `step`; gives what goes into the checkpoint."""
        self._held[round_.number, bucket] = done.state
        return BucketResult.saved(self._checkpoint, step, round_, bucket, done)
