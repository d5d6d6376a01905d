"""The state of the buckets: in memory, and after each step in the checkpoint."""

from __future__ import annotations

import pyarrow as pa

from common.runtime.checkpoint import Checkpoint, Manifest


class States:
    """The buckets' state tables between steps.

    Args:
        checkpoint: Where they were left by the last run, and are saved after each step.
        schema: The operator's state schema.
    """

    def __init__(self, checkpoint: Checkpoint, schema: pa.Schema) -> None:
        self._checkpoint = checkpoint
        self._schema = schema
        self._tables: dict[int, pa.Table] = {}

    def get(self, manifest: Manifest, bucket: int) -> pa.Table:
        """A bucket's state as the last step left it."""
        if bucket not in self._tables:
            self._tables[bucket] = self._checkpoint.read_state(manifest.buckets[bucket], self._schema)
        return self._tables[bucket]

    def put(self, step: int, bucket: int, state: pa.Table) -> str:
        """Keeps and saves a bucket's state after `step`; gives where it was saved."""
        self._tables[bucket] = state
        return self._checkpoint.write_state(step, bucket, state)
