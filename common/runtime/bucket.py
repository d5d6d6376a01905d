"""One round of a bucket's step: what every engine calls, wherever the bucket's state lies."""

from __future__ import annotations

import pickle
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from common.errors import DefectError
from common.operators.buckets import concat, split_by_bucket
from common.operators.step import END, Step, Watermarks
from common.runtime.frames import Frame, Kind, Onward, pack, unpack
from common.runtime.keyed import Segments, Stored, state_file
from common.topology.plan import Plan, Stage

Kept: TypeAlias = pa.Table | Stored
"""What a stage holds in a bucket: its rows, or the files of a table by key."""


def pack_state(state: Mapping[str, Kept]) -> bytes:
    """What a bucket holds, for an engine that keeps it in its own state."""
    return pickle.dumps({stage: pack(kept) if isinstance(kept, pa.Table) else kept for stage, kept in state.items()})


def unpack_state(payload: bytes) -> dict[str, Kept]:
    """What `pack_state` packed."""
    packed: dict[str, bytes | Stored] = pickle.loads(payload)  # noqa: S301 (the engine's own state)
    return {stage: unpack(kept) if isinstance(kept, bytes) else kept for stage, kept in packed.items()}


@dataclass
class Inbox:
    """What has arrived for a bucket in a step, to be filled before the bucket is stepped.

    Attributes:
        events: A stage's batches, each with what sorts it among those of all partitions.
        dead: Dead letters.
        records: How many records of the input came with it.
    """

    events: dict[str, list[tuple[str, pa.Table]]] = field(default_factory=lambda: defaultdict(list))
    dead: list[pa.Table] = field(default_factory=list)
    records: int = 0

    @classmethod
    def of(cls, frames: Iterable[Frame]) -> Inbox:
        """What frames bring; those of kind `TIME` bring nothing."""
        inbox = cls()
        for frame in frames:
            inbox.records += frame.records
            if frame.kind is Kind.EVENTS:
                inbox.add(frame.stage, frame.order, unpack(frame.payload))
            elif frame.kind is Kind.DEAD:
                inbox.dead.append(unpack(frame.payload))
        return inbox

    def add(self, stage: str, order: str, events: pa.Table) -> None:
        """Adds a batch of a stage's events."""
        self.events[stage].append((order, events))

    def take(self, stage: Stage) -> pa.Table:
        """A stage's events, those of one partition in their order."""
        batches = sorted(self.events.get(stage.id, ()), key=lambda batch: batch[0])
        return concat([events for _, events in batches], stage.operator.event_schema)


@dataclass(frozen=True)
class BucketStep:
    """What a round of a bucket gives.

    Attributes:
        state: What the bucket holds now, by stage.
        records: Contract records, by sink stream; streams without records are left out.
        onward: What goes to later rounds.
        counters: The operators' counters, and `records_in` and `dead_letters`.
        gauges: The operators' gauges.
        due: The watermark at which the bucket must be stepped again, whatever arrives.
    """

    state: Mapping[str, Kept]
    records: Mapping[str, pa.Table]
    onward: tuple[Onward, ...]
    counters: Mapping[str, int]
    gauges: Mapping[str, int]
    due: int


@dataclass(frozen=True)
class Round:
    """The stages of a plan that run between two shuffles. It can be pickled.

    Attributes:
        plan: The job's plan.
        number: Which of its rounds.
        buckets: How many buckets the job has.
        segments: Where tables by key lie.
    """

    plan: Plan
    number: int
    buckets: int
    segments: Segments

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, each after those that feed it."""
        return self.plan.rounds[self.number]

    @property
    def name(self) -> str:
        """What the round is called in an engine's pictures and savepoints."""
        return "+".join(stage.id for stage in self.stages)

    def takes(self, frame: Frame) -> bool:
        """Whether a frame is for this round; time is for every one."""
        return frame.kind is Kind.TIME or self.number == (self.plan.stage(frame.stage).round if frame.stage else 0)

    def step(self, step: int, bucket: int, state: Mapping[str, Kept], inbox: Inbox, time: Watermarks) -> BucketStep:
        """Takes the round of one bucket in one step: its stages, one after another.

        Args:
            step: The number of the step.
            bucket: The bucket.
            state: What the bucket holds, by stage, as the last step left it; nothing in a run without state.
            inbox: What arrived for it; stages add to it what they give to those that follow them.
            time: The watermark before and after the step.

        Raises:
            AdstreamError: A function between two stages of one key has changed the key.
        """
        letters = sum(letters_in(table) for table in inbox.dead)
        counters = Counter({"dead_letters": letters, "records_in": inbox.records + letters})
        gauges: Counter[str] = Counter()
        after: dict[str, Kept] = {}
        records: dict[str, list[pa.Table]] = defaultdict(list)
        onward: list[Onward] = []
        due = END
        for stage in self.stages:
            held = state.get(stage.id, stage.operator.state_schema.empty_table())
            done, after[stage.id] = self._step(
                stage, state_file(step, bucket, stage.id, "arrow"), held, inbox.take(stage), time
            )
            counters.update(done.counters)
            gauges.update(done.gauges)
            due = min(due, done.due)
            for stream, table in self.plan.records(stage, done.outputs):
                records[stream].append(table)
            for sent in self._sent(stage, bucket, done.outputs):
                if self.plan.stage(sent.stage).round > self.number:
                    onward.append(sent)
                else:
                    inbox.add(sent.stage, sent.order, sent.events)
        records[self.plan.dead_letters] += inbox.dead
        return BucketStep(after, _some(records), tuple(onward), dict(counters), dict(gauges), due)

    def _step(self, stage: Stage, segment: str, held: Kept, events: pa.Table, time: Watermarks) -> tuple[Step, Kept]:
        """Steps a stage; gives what it holds then. Of a table by key that is a new `segment` more, a file of that name."""
        operator = stage.operator
        if isinstance(held, pa.Table):
            done = operator.step(held, events, time)
            return done, done.state
        assert operator.state_key is not None
        keys = pc.unique(events[operator.state_key])
        old = self.segments.find(held, keys, operator.state_key, operator.state_schema)
        done = operator.step(old, events, time)
        after = self.segments.replace(held, segment, operator.state_key, old, done.state)
        return replace(done, gauges={**done.gauges, f"{stage.id}_rows": after.live}), after

    def _sent(self, stage: Stage, bucket: int, outputs: Mapping[str, pa.Table]) -> Iterator[Onward]:
        """What a stage gives to others, by their buckets."""
        for number, link in enumerate(self.plan.links_of(stage)):
            if not outputs[link.output].num_rows:
                continue
            to, rows = self.plan.stage(link.stage), link.apply(outputs[link.output])
            for goal, events in split_by_bucket(rows, to.key, self.buckets).items():
                if to.round == self.number and goal != bucket:
                    raise DefectError(
                        f"operator '{stage.id}': what it gives to '{to.id}' has another '{to.key}' than what it was given",
                        "give the column another name where it means something else",
                    )
                yield Onward(to.id, goal, f"{stage.id}/{bucket:05d}/{number}", events)


def _some(records: Mapping[str, list[pa.Table]]) -> dict[str, pa.Table]:
    """The records of each stream that has any."""
    whole = {stream: pa.concat_tables(tables) for stream, tables in records.items() if tables}
    return {stream: table for stream, table in whole.items() if table.num_rows}


def letters_in(dead: pa.Table) -> int:
    """How many records a table of dead letters stands for (an undecodable Avro block holds several)."""
    values = dead["value"].combine_chunks()
    return int(values.field("records").to_numpy(zero_copy_only=False).sum())
