"""The suite's own checkpoint: offsets, watermark and state tables, the same on every engine.

    <checkpoint>/manifest.json                           the last complete step
    <checkpoint>/state/<step>/<bucket>.<stage>.parquet   state by bucket, in the operator's `state_schema`
    <checkpoint>/state/<step>/<bucket>.<stage>.arrow     a segment of a table by key (`common/runtime/keyed.py`)

The manifest is replaced atomically and names every state file it needs, so a crash leaves either the
step before or the step after. State files that no manifest names are swept by the next save.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import AdstreamError, ExitCode
from common.operators.step import END, Operator
from common.runtime.bucket import Kept
from common.runtime.clock import Clock
from common.runtime.keyed import Segments, Stored
from common.streams.folder import Position
from common.topology.plan import Plan, Stage

MANIFEST = "manifest.json"
PLANS = "plans"
"""The folder in which the steps of a broker are written down (`common.streams.source.Planned`)."""
METRICS = "metrics.json"
"""The file of the job's numbers after its last step (`common.runtime.metrics`)."""
HISTORY = "steps.jsonl"
"""The file of what its last steps did (`common.runtime.history`)."""
SCHEMAS = "schemas"
"""The folder in which the schemas of a registry are kept (`common.streams.kafka.schemas`). They are no state."""
LAYOUT = 2


@dataclass(frozen=True)
class BucketState:
    """Where the state of a bucket lies in a round.

    Attributes:
        stored: The files of each stage.
        due: The watermark at which the bucket must be stepped again.
        gauges: The operators' gauges after the bucket's last step.
    """

    stored: Mapping[str, Stored] = field(default_factory=dict)
    due: int = END
    gauges: Mapping[str, int] = field(default_factory=dict)

    def due_at(self, watermark: int) -> bool:
        """Whether the passing of time alone asks for a step."""
        return self.due <= watermark and any(stored.paths for stored in self.stored.values())

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> BucketState:
        """Reads what `dataclasses.asdict` and JSON made of it."""
        stored = {stage: Stored.of(files) for stage, files in content["stored"].items()}
        return cls(stored, content["due"], content["gauges"])


@dataclass(frozen=True)
class Manifest:
    """A complete checkpoint, up to and without `step`.

    Attributes:
        job: The job's name.
        step: The next step to take; all earlier ones are in the outputs.
        position: What was taken of each source stream.
        clock: The watermark and what it follows from.
        rounds: The state of each bucket, by round and bucket.
        fingerprint: The parameters that the state depends on.
        counters: The job's counters since its first step.
    """

    job: str
    step: int
    position: Position
    clock: Clock
    rounds: tuple[tuple[BucketState, ...], ...]
    fingerprint: Mapping[str, Any]
    counters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def start(cls, plan: Plan, clock: Clock, buckets: int) -> Manifest:
        """The checkpoint before the first step."""
        rounds = ((BucketState(),) * buckets,) * len(plan.rounds)
        return cls(plan.name, 0, Position(), clock, rounds, {**plan.fingerprint, "buckets": buckets})

    def files(self) -> Iterator[str]:
        """Every state file that it needs, relative to the checkpoint."""
        for buckets in self.rounds:
            for bucket in buckets:
                for stored in bucket.stored.values():
                    yield from stored.paths

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
        self._there = False

    def load(self) -> Manifest | None:
        """The last complete checkpoint, or None before the first.

        Raises:
            AdstreamError: The manifest can't be read.
        """
        path = self.root / MANIFEST
        if not path.exists():
            return None
        try:
            manifest = _manifest(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            raise AdstreamError(
                f"checkpoint '{path}': not a manifest of this suite ({error})",
                "restore the folder, or start with a new --checkpoint folder",
            ) from error
        self._there = True
        return manifest

    @property
    def segments(self) -> Segments:
        """The tables by key below the folder."""
        return Segments(str(self.root))

    def read_state(self, state: BucketState, stages: Iterable[Stage]) -> dict[str, Kept]:
        """What a bucket holds, by stage; of a table by key, its files.

        Raises:
            AdstreamError: A file is not there, or not whole.
        """
        return {stage.id: self._read(state.stored.get(stage.id, Stored()), stage.operator) for stage in stages}

    def write_state(self, step: int, bucket: int, state: Mapping[str, Kept]) -> dict[str, Stored]:
        """Writes what a bucket holds after `step`; gives where it lies."""
        return {
            stage: self._write(f"state/{step:09d}/{bucket:05d}.{stage}.parquet", kept) for stage, kept in state.items()
        }

    def _read(self, stored: Stored, operator: Operator) -> Kept:
        if operator.state_key is not None:
            return stored
        schema = operator.state_schema
        if not stored.paths:
            return schema.empty_table()
        path = self.root / stored.paths[0]
        try:
            # Single-threaded: engines call it from many workers at once. A file is opened faster than a data set.
            with pq.ParquetFile(path) as file:
                return file.read(use_threads=False).cast(schema)
        except (OSError, pa.ArrowException) as error:
            raise AdstreamError(
                f"checkpoint '{path}': the state can't be read ({error})",
                "restore the folder, or start with a new --checkpoint folder",
            ) from error

    def _write(self, path: str, kept: Kept) -> Stored:
        if isinstance(kept, Stored):
            return kept
        if kept.num_rows == 0:
            return Stored()
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # Written and read every step and soon dropped, so speed counts for more than size.
        pq.write_table(
            kept, target, compression="lz4", use_dictionary=False, write_statistics=False, store_schema=False
        )
        return Stored((path,), (kept.num_rows,), kept.num_rows)

    def save(self, manifest: Manifest) -> None:
        """Makes the manifest the last complete checkpoint, then sweeps state files it does not name.

        Raises:
            AdstreamError: The storage is another one than that of the checkpoint before (`UNAVAILABLE`).
        """
        self._check_there(manifest)
        self.root.mkdir(parents=True, exist_ok=True)
        staged = self.root / (MANIFEST + ".new")
        with staged.open("w") as file:
            file.write(json.dumps({"layout": LAYOUT, **asdict(manifest)}))  # `dump` would not use the encoder in C
            file.flush()
            os.fsync(file.fileno())
        staged.replace(self.root / MANIFEST)
        self._there = True
        self._sweep(manifest)

    def _check_there(self, manifest: Manifest) -> None:
        """Refuses to save where the checkpoint before, or what the last step wrote, is not.

        A folder whose storage went away is an empty one of another disk. What is written there is hidden once the
        storage is back, and a manifest that names it can't be gone on with.
        """
        folder = f"state/{manifest.step - 1:09d}"
        wanted = {path.name for path in map(Path, manifest.files()) if str(path.parent) == folder}
        if (self._there and not (self.root / MANIFEST).exists()) or not wanted <= _names(self.root / folder):
            raise AdstreamError(
                f"checkpoint '{self.root}': what was saved there is gone",
                "bring its storage back and start the job again: it goes on from its last step there",
                ExitCode.UNAVAILABLE,
            )

    def clear(self) -> None:
        """Forgets everything: the next run begins with its first step."""
        self._there = False
        for file in (MANIFEST, METRICS, HISTORY):
            (self.root / file).unlink(missing_ok=True)
        for folder in ("state", PLANS):
            shutil.rmtree(self.root / folder, ignore_errors=True)

    def _sweep(self, manifest: Manifest) -> None:
        named = {self.root / path for path in manifest.files()}
        for folder in (self.root / "state").glob("*"):
            if int(folder.name) >= manifest.step:
                continue  # of a step that is being taken meanwhile
            for path in folder.iterdir():
                if path not in named:
                    path.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()  # which it can be once it is empty


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _manifest(content: dict[str, Any]) -> Manifest:
    if content.pop("layout") != LAYOUT:
        raise ValueError("made by another version of the suite")
    manifest = Manifest(**content)
    return replace(
        manifest,
        position=Position(**content["position"]),
        clock=Clock(**content["clock"]),
        rounds=tuple(tuple(BucketState.of(bucket) for bucket in buckets) for buckets in content["rounds"]),
    )
