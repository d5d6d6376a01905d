"""The suite's own checkpoint: offsets, watermark and state tables, the same on every engine.

    <checkpoint>/manifest.json                           the last complete step
    <checkpoint>/retained/<step>.json                    the manifests before it, where more than one is retained
    <checkpoint>/state/<step>/<bucket>.<stage>.parquet   state by bucket, in the operator's `state_schema`
    <checkpoint>/state/<step>/<bucket>.<stage>.arrow     a segment of a table by key (`common/runtime/keyed.py`)
    <checkpoint>/plans/<position>.json                   what the next step takes (`common/streams/source.py`)

The manifest is replaced atomically and names every state file it needs, so a crash leaves either the
step before or the step after. State files that no manifest names are swept by the next save. It has two lines: the
first holds the layout and the sum of the second.

In a folder, manifests are on the disk when they are saved, state files when the operating system has written them. So
a power cut may tear state that a manifest names: that is found by its sum when it is read, and refused.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import AdstreamError, UnavailableError, reason_of
from common.operators.step import END, Operator
from common.runtime.bucket import Kept
from common.runtime.clock import Clock
from common.runtime.keyed import STATE, Segments, Stored, check_sum, state_file, unreadable
from common.storage import Folder, Storage, storage_at
from common.streams.folder import Position
from common.streams.source import PLANS
from common.topology.plan import Plan, Stage

MANIFEST = "manifest.json"
RETAINED = "retained"
"""The folder of the manifests before the last one, where more than one is retained."""
METRICS = "metrics.json"
"""The file of the job's numbers after its last step (`common.runtime.metrics`)."""
HISTORY = "steps.jsonl"
"""The file of what its last steps did (`common.runtime.history`)."""
BEGUN = "begun"
"""The file that names the output of a job that has begun, before there is a manifest."""
SCHEMAS = "schemas"
"""The folder in which the schemas of a registry are kept (`common.streams.kafka.schemas`). They are no state."""
LAYOUT = 3


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
        contracts: The version of the contract of each stream that the job reads or writes.
    """

    job: str
    step: int
    position: Position
    clock: Clock
    rounds: tuple[tuple[BucketState, ...], ...]
    fingerprint: Mapping[str, Any]
    counters: Mapping[str, int] = field(default_factory=dict)
    contracts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def start(cls, plan: Plan, clock: Clock, buckets: int, contracts: Mapping[str, int] | None = None) -> Manifest:
        """The checkpoint before the first step."""
        rounds = ((BucketState(),) * buckets,) * len(plan.rounds)
        fingerprint = {**plan.fingerprint, "buckets": buckets}
        return cls(plan.name, 0, Position(), clock, rounds, fingerprint, {}, contracts or {})

    def stored(self) -> Iterator[tuple[str, int, Stored]]:
        """What each stage holds in each bucket, with the stage's id and the bucket."""
        for buckets in self.rounds:
            for number, bucket in enumerate(buckets):
                for stage, stored in bucket.stored.items():
                    yield stage, number, stored

    def files(self) -> Iterator[str]:
        """Every state file that it needs, relative to the checkpoint."""
        for _, _, stored in self.stored():
            yield from stored.paths

    @classmethod
    def parse(cls, text: str) -> Manifest:
        """Reads what `text` gave.

        Raises:
            ValueError: It is not a manifest, or not as it was written.
        """
        header, _, body = text.partition("\n")
        told = json.loads(header)
        if not isinstance(told, dict) or told.get("layout") != LAYOUT:
            raise ValueError("made by another version of the suite")
        if told["sum"] != crc32(body.encode()):
            raise ValueError("it is not as it was written")
        content = json.loads(body)
        return replace(
            cls(**content),
            position=Position(**content["position"]),
            clock=Clock(**content["clock"]),
            rounds=tuple(tuple(BucketState.of(bucket) for bucket in buckets) for buckets in content["rounds"]),
        )

    def text(self) -> str:
        """The manifest as it is saved."""
        body = json.dumps(asdict(self))  # `dump` would not use the encoder in C
        return f"{json.dumps({'layout': LAYOUT, 'sum': crc32(body.encode())})}\n{body}"


class Checkpoint:
    """A job's checkpoints: the last one, and those before it that are retained.

    Args:
        place: A folder, or the URL of a storage.
        retention: How many complete ones are kept.
    """

    def __init__(self, place: str | Path, retention: int = 1) -> None:
        self.place = str(place)
        self.retention = retention
        self._there = False

    @property
    def storage(self) -> Storage:
        """Where it lies."""
        return storage_at(self.place)

    def load(self) -> Manifest | None:
        """The last complete checkpoint, or None before the first.

        Raises:
            AdstreamError: The manifest can't be read.
        """
        return self._load(MANIFEST)

    def retained(self) -> Iterator[tuple[str, Manifest]]:
        """The complete checkpoints there are, the last one first, each with the name of its file.

        Raises:
            AdstreamError: A manifest can't be read.
        """
        last = self.load()
        if last is None:
            return
        yield MANIFEST, last
        yield from self._older(last.step)

    def before(self) -> Manifest | None:
        """The checkpoint before the last one, also where the manifest of the last one is torn; None if none is retained.

        Raises:
            AdstreamError: Its manifest can't be read, or the storage does not answer (`UNAVAILABLE`).
        """
        try:
            last = self.load()
        except UnavailableError:
            raise
        except AdstreamError:
            last = None
        return next((manifest for _, manifest in self._older(last.step if last else None)), None)

    def _older(self, than: int | None) -> Iterator[tuple[str, Manifest]]:
        """The retained manifests of steps before one, or all of them; the last one first, each with its file's name.

        One of that step itself is left where a process was killed before the manifest behind it was saved.
        """
        names = sorted((name for name in self.storage.files(RETAINED) if name.endswith(".json")), reverse=True)
        for name in names if than is None else (name for name in names if name < _retained(than)):
            manifest = self._load(name)
            if manifest is not None:
                yield name, manifest

    def _load(self, name: str) -> Manifest | None:
        try:
            manifest = Manifest.parse(self.storage.read(name).to_pybytes().decode())
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise AdstreamError(
                f"checkpoint '{self.place}/{name}': not a manifest of this suite ({reason_of(error)})",
                "restore it, or start with a new --checkpoint folder",
            ) from error
        self._there = True
        return manifest

    @property
    def segments(self) -> Segments:
        """The tables by key in it."""
        return Segments(self.place)

    def read_state(self, state: BucketState, stages: Iterable[Stage]) -> dict[str, Kept]:
        """What a bucket holds, by stage; of a table by key, its files.

        Raises:
            AdstreamError: A file is not there, or not whole.
        """
        return {stage.id: self._read(state.stored.get(stage.id, Stored()), stage.operator) for stage in stages}

    def write_state(self, step: int, bucket: int, state: Mapping[str, Kept]) -> dict[str, Stored]:
        """Writes what a bucket holds after `step`; gives where it lies."""
        return {stage: self._write(state_file(step, bucket, stage, "parquet"), kept) for stage, kept in state.items()}

    def table(self, stored: Stored, operator: Operator) -> pa.Table:
        """All rows that a stage holds in a bucket.

        Raises:
            AdstreamError: A file is not there, or not whole.
        """
        if operator.state_key is not None:
            return self.segments.everything(stored, operator.state_key, operator.state_schema)
        kept = self._read(stored, operator)
        assert isinstance(kept, pa.Table)
        return kept

    def _read(self, stored: Stored, operator: Operator) -> Kept:
        if operator.state_key is not None:
            return stored
        schema = operator.state_schema
        if not stored.paths:
            return schema.empty_table()
        name = stored.paths[0]
        try:
            # Single-threaded: engines call it from many workers at once. A file is opened faster than a data set.
            content = self.storage.read(name)
            check_sum(self.place, name, content, stored.sums[0])
            with pq.ParquetFile(pa.BufferReader(content)) as file:
                return file.read(use_threads=False).cast(schema)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self.place, name, error) from error

    def _write(self, name: str, kept: Kept) -> Stored:
        if isinstance(kept, Stored):
            return kept
        if kept.num_rows == 0:
            return Stored()
        content = pa.BufferOutputStream()
        # Written and read every step and soon dropped, so speed counts for more than size.
        pq.write_table(
            kept, content, compression="lz4", use_dictionary=False, write_statistics=False, store_schema=False
        )
        written = content.getvalue()
        self.storage.write(name, written)
        return Stored((name,), (kept.num_rows,), kept.num_rows, (crc32(written),))

    def save(self, manifest: Manifest) -> None:
        """Makes the manifest the last complete checkpoint, then sweeps what no retained one names.

        Raises:
            AdstreamError: The storage is another one than that of the checkpoint before (`UNAVAILABLE`).
        """
        there = self.storage.files(STATE)
        self._check_there(manifest, there)
        older = self._retire(manifest) if self.retention > 1 else []
        self.storage.replace(MANIFEST, manifest.text().encode())
        self._there = True
        self._sweep(manifest, older, there)

    def begin(self, output: str) -> None:
        """Notes, before the first step, that what is in an output from now on comes of this checkpoint's job."""
        self.storage.replace(BEGUN, output.encode())

    def has_begun(self, output: str) -> bool:
        """Whether what is in an output comes of this checkpoint's job, even if no step of it is saved yet."""
        try:
            return self.storage.read(BEGUN).to_pybytes() == output.encode()
        except FileNotFoundError:
            return False

    def fall_back(self) -> Manifest | None:
        """Drops the last complete checkpoint; gives the one before it, which is the last one then.

        Raises:
            AdstreamError: A manifest can't be read.
        """
        before = self.before()
        if before is not None:
            self.storage.replace(MANIFEST, before.text().encode())
            self.storage.delete(name for name in self.storage.files(RETAINED) if name >= _retained(before.step))
        return before

    def _check_there(self, manifest: Manifest, there: Collection[str]) -> None:
        """Refuses to save where the checkpoint before, or what the last step wrote, is not.

        A folder whose storage went away is an empty one of another disk. What is written there is hidden once the
        storage is back, and a manifest that names it can't be gone on with.
        """
        folder = f"{STATE}/{manifest.step - 1:09d}/"
        lacks = any(name not in there for name in manifest.files() if name.startswith(folder))
        if lacks or (self._there and not self._has_manifest()):
            raise UnavailableError(
                f"checkpoint '{self.place}': what was saved there is gone",
                "bring its storage back and start the job again: it goes on from its last step there",
            )

    def _has_manifest(self) -> bool:
        try:
            return self.storage.modified(MANIFEST) > 0
        except FileNotFoundError:
            return False

    def clear(self, workplace: Path) -> None:
        """Forgets everything: the next run begins with its first step.

        Args:
            workplace: The folder of the job's numbers; the checkpoint's own, where that is a folder.
        """
        self._there = False
        self.storage.delete((MANIFEST, BEGUN))
        Folder(str(workplace)).delete((METRICS, HISTORY))
        for folder in (RETAINED, STATE, PLANS):
            self.storage.clear(folder)

    def _retire(self, manifest: Manifest) -> list[Manifest]:
        """Puts the last checkpoint into the history, as a new one follows it; gives those that are retained."""
        last = self.load()
        if last is not None and last.step < manifest.step:
            self.storage.replace(_retained(last.step), last.text().encode())
        kept = dict(islice(self._older(manifest.step), self.retention - 1))
        self.storage.delete(name for name in self.storage.files(RETAINED) if name not in kept)
        return list(kept.values())

    def _sweep(self, manifest: Manifest, older: Iterable[Manifest], there: Iterable[str]) -> None:
        named = {name for kept in (manifest, *older) for name in kept.files()}
        # Files of later steps are those of one that is being taken meanwhile.
        first = f"{STATE}/{manifest.step:09d}/"
        self.storage.delete(name for name in there if name < first and name not in named)


def _retained(step: int) -> str:
    """The file of a manifest that is retained."""
    return f"{RETAINED}/{step:09d}.json"
