"""The suite's own checkpoint: offsets, watermark and state tables, the same on every engine.

    <checkpoint>/manifest.json               the last complete step
    <checkpoint>/state/<step>/<bucket>.parquet   state tables, in the operator's `state_schema`

The manifest is replaced atomically and names every state file it needs, so a crash leaves either the
step before or the step after. State files that no manifest names are swept by the next save.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import AdstreamError
from common.operators.step import END
from common.runtime.clock import Clock
from common.streams.folder import Position

MANIFEST = "manifest.json"
PLANS = "plans"
"""The folder in which the steps of a broker are written down (`common.streams.source.Planned`)."""
SCHEMAS = "schemas"
"""The folder in which the schemas of a registry are kept (`common.streams.kafka.schemas`). They are no state."""
LAYOUT = 1


@dataclass(frozen=True)
class BucketState:
    """Where a bucket's state lies.

    Attributes:
        path: The state file, relative to the checkpoint; empty when the bucket holds nothing.
        due: The watermark at which the bucket must be stepped again.
        gauges: The operator's gauges after the bucket's last step.
    """

    path: str = ""
    due: int = END
    gauges: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """A complete checkpoint, up to and without `step`.

    Attributes:
        job: The job's name.
        step: The next step to take; all earlier ones are in the outputs.
        position: What was taken of each source stream.
        clock: The watermark and what it follows from.
        buckets: The state of each bucket, by number.
        fingerprint: The parameters that the state depends on.
        counters: The job's counters since its first step.
    """

    job: str
    step: int
    position: Position
    clock: Clock
    buckets: tuple[BucketState, ...]
    fingerprint: Mapping[str, Any]
    counters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def start(cls, job: str, clock: Clock, buckets: int, fingerprint: Mapping[str, Any]) -> Manifest:
        """The checkpoint before the first step."""
        return cls(job, 0, Position(), clock, (BucketState(),) * buckets, {**fingerprint, "buckets": buckets})

    def check(self, other: Mapping[str, Any], where: Path) -> None:
        """Refuses to go on under parameters that would corrupt the state.

        Args:
            other: The fingerprint of the job as it is configured now.
            where: The checkpoint folder, for the message.

        Raises:
            AdstreamError: A parameter differs.
        """
        for name, now in other.items():
            then = self.fingerprint.get(name)
            if then != now:
                raise AdstreamError(
                    f"checkpoint '{where}': made with {name}={then}, but the job has {name}={now}",
                    f"set {name} back to {then}, or start with a new --checkpoint folder",
                )


class Checkpoint:
    """A checkpoint folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def load(self) -> Manifest | None:
        """The last complete checkpoint, or None before the first.

        Raises:
            AdstreamError: The manifest can't be read.
        """
        path = self.root / MANIFEST
        if not path.exists():
            return None
        try:
            return _manifest(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            raise AdstreamError(
                f"checkpoint '{path}': not a manifest of this suite ({error})",
                "restore the folder, or start with a new --checkpoint folder",
            ) from error

    def read_state(self, state: BucketState, schema: pa.Schema) -> pa.Table:
        """A bucket's state table.

        Raises:
            AdstreamError: The file is not there, or not whole.
        """
        if not state.path:
            return schema.empty_table()
        path = self.root / state.path
        try:
            # Single-threaded: engines call it from many workers at once. A file is opened faster than a data set.
            with pq.ParquetFile(path) as file:
                return file.read(use_threads=False).cast(schema)
        except (OSError, pa.ArrowException) as error:
            raise AdstreamError(
                f"checkpoint '{path}': the state can't be read ({error})",
                "restore the folder, or start with a new --checkpoint folder",
            ) from error

    def write_state(self, step: int, bucket: int, table: pa.Table) -> str:
        """Writes a bucket's state after `step`; gives its path, empty for an empty state."""
        if table.num_rows == 0:
            return ""
        path = f"state/{step:09d}/{bucket:05d}.parquet"
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # Written and read every step and soon dropped, so speed counts for more than size.
        pq.write_table(
            table, target, compression="lz4", use_dictionary=False, write_statistics=False, store_schema=False
        )
        return path

    def save(self, manifest: Manifest) -> None:
        """Makes the manifest the last complete checkpoint, then sweeps state files it does not name."""
        self.root.mkdir(parents=True, exist_ok=True)
        staged = self.root / (MANIFEST + ".new")
        with staged.open("w") as file:
            json.dump({"layout": LAYOUT, **asdict(manifest)}, file)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(self.root / MANIFEST)
        self._sweep(manifest)

    def clear(self) -> None:
        """Forgets everything: the next run begins with its first step."""
        (self.root / MANIFEST).unlink(missing_ok=True)
        for folder in ("state", PLANS):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def _sweep(self, manifest: Manifest) -> None:
        named = {self.root / bucket.path for bucket in manifest.buckets if bucket.path}
        folders = {path.parent for path in named}
        for folder in (self.root / "state").glob("*"):
            if folder not in folders:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            for path in folder.iterdir():
                if path not in named:
                    path.unlink(missing_ok=True)


def _manifest(content: dict[str, Any]) -> Manifest:
    if content.pop("layout") != LAYOUT:
        raise ValueError("made by another version of the suite")
    manifest = Manifest(**content)
    return replace(
        manifest,
        position=Position(**content["position"]),
        clock=Clock(**content["clock"]),
        buckets=tuple(BucketState(**bucket) for bucket in content["buckets"]),
    )
