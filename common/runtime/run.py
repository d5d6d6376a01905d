"""The engine-neutral half of a run: what is opened before it, and what makes a step complete."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from common.config.job import JobSettings, format_duration
from common.contracts.contract import load
from common.errors import AdstreamError
from common.operators.step import BEGINNING, END
from common.runtime.bucket import BucketStep, Round
from common.runtime.checkpoint import SCHEMAS, BucketState, Checkpoint, Manifest
from common.runtime.clock import Clock
from common.runtime.compatible import check, contract_versions
from common.runtime.front import Front
from common.runtime.history import TakenStep
from common.runtime.metrics import Metrics
from common.runtime.orders import is_ordered
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.folder import Position
from common.streams.sink import Part, Sink, open_sink
from common.streams.source import BROKER, Source, open_source, open_unplanned
from common.streams.staging import step_name
from common.tables.delta import DeltaTables
from common.tables.layout import Layout
from common.tables.place import TablePlace
from common.topology.plan import Plan

log = logging.getLogger("adstream")

BATCH = "batch"
"""The name of the only step of a run in `batch` mode."""


def now_ms() -> int:
    """The wall clock, in epoch ms. Only how far an event is in the future depends on it."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class BucketResult:
    """What a task reports of a round of a bucket's step; small, and made of plain values.

    Attributes:
        round: The round.
        bucket: The bucket.
        state: Where its state lies now.
        counters: What happened in it.
    """

    round: int
    bucket: int
    state: BucketState = field(default_factory=BucketState)
    counters: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def saved(cls, checkpoint: Checkpoint, step: int, round_: Round, bucket: int, done: BucketStep) -> BucketResult:
        """The result of a bucket whose state is written to a checkpoint's folder after `step`."""
        stored = checkpoint.write_state(step, bucket, done.state)
        return cls(round_.number, bucket, BucketState(stored, done.due, done.gauges), done.counters)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> BucketResult:
        """Reads what `dataclasses.asdict` and JSON made of it."""
        return cls(content["round"], content["bucket"], BucketState.of(content["state"]), content["counters"])


@dataclass(frozen=True)
class Run:
    """One run of a job: its plan, and where its records come from and go to. It can be pickled."""

    spec: JobSpec
    settings: JobSettings
    plan: Plan
    front: Front
    source: Source
    sink: Sink
    checkpoint: Checkpoint

    @classmethod
    def open(cls, spec: JobSpec) -> Run:
        """Loads what the spec names.

        Raises:
            AdstreamError: A folder, contract or setting is missing or wrong.
        """
        settings, plan = spec.typed_settings(), spec.plan()
        contracts = {stream: load(stream) for stream in plan.sources}
        return cls(
            spec=spec,
            settings=settings,
            plan=plan,
            front=Front(plan, contracts, settings.buckets, settings.max_future_skew),
            source=_open_source(spec, plan),
            sink=_open_sink(spec, plan),
            checkpoint=Checkpoint(spec.checkpoint, settings.checkpoint.retention),
        )

    @property
    def rounds(self) -> tuple[Round, ...]:
        """What is run between two shuffles, first to last."""
        segments = self.checkpoint.segments
        return tuple(
            Round(self.plan, number, self.settings.buckets, segments) for number in range(len(self.plan.rounds))
        )

    def kept(self) -> Manifest:
        """The last complete checkpoint, or the one before the first step; it changes nothing.

        Raises:
            AdstreamError: The checkpoint was made under parameters that the state depends on.
        """
        return self._under_settings(self.checkpoint.load())

    def _under_settings(self, saved: Manifest | None) -> Manifest:
        """As `kept`, of what was saved."""
        timed = tuple(p for p in self.source.partitions if self._timed(p.partition("/")[0]))
        clock = Clock.start(timed, self.settings.out_of_orderness, self.settings.idle_after)
        start = Manifest.start(self.plan, clock, self.settings.buckets, contract_versions(self.plan))
        manifest = saved or start
        check(manifest, start, self.checkpoint.place)
        # Out-of-orderness and idleness may be changed between runs; what was seen stays.
        clock = replace(manifest.clock, out_of_orderness=clock.out_of_orderness, idle_after=clock.idle_after)
        return replace(manifest, clock=clock, contracts=start.contracts)

    def _timed(self, stream: str) -> bool:
        """Whether the watermark follows a stream: entities without a time of their own have no say in it."""
        return stream in self.plan.timed and self.front.contracts[stream].meta.event_time is not None

    def resume(self) -> Manifest:
        """As `kept`; the outputs are put back to what they were then.

        Raises:
            AdstreamError: The checkpoint was made under parameters that the state depends on, or it is older
            than the sink and the steps between can't be taken again as they were.
        """
        saved = self.checkpoint.load()
        manifest = self._under_settings(saved)
        if manifest.step == 0:
            self.checkpoint.begin(self.spec.output)
        self.source.settled(manifest.position)
        self.sink.recover(step_name(manifest.step))
        self.check_sink(manifest)
        if saved is not None and saved.clock != manifest.clock:
            self._change_terms(saved.clock, manifest)
        return manifest

    def _change_terms(self, before: Clock, manifest: Manifest) -> None:
        """Notes under which terms the watermark moves from now on: a step that is taken again gives what it gave.

        Raises:
            AdstreamError: They are others than those of a step that the sink has and the checkpoint has not.
        """
        if self.sink.delivered() >= manifest.step:
            name = "idle_after" if before.idle_after != manifest.clock.idle_after else "out_of_orderness"
            then, now = (format_duration(getattr(clock, name)) for clock in (before, manifest.clock))
            raise AdstreamError(
                f"the sink has step {manifest.step} of job '{self.plan.name}', made with {name}={then}, but now it is {now}",
                f"start the job once with {name}={then}; it may be changed once that step is saved",
            )
        self.checkpoint.save(manifest)

    def check_sink(self, manifest: Manifest) -> None:
        """Refuses a checkpoint that is older than the sink, where the steps between can't be taken again as they were.

        Raises:
            AdstreamError: It is.
        """
        ahead, position = self.sink.delivered(), manifest.position
        for _ in range(manifest.step, ahead + 1):
            again = self.source.next_step(position) if self.source.planned(position) else None
            if again is None:
                raise AdstreamError(
                    f"the sink has steps up to {ahead} of job '{self.plan.name}', but the checkpoint is at "
                    f"{manifest.step}",
                    f"restore the checkpoint, or begin anew: adstream reset {self.plan.name}",
                )
            position = again.position

    def complete(
        self,
        manifest: Manifest,
        position: Position,
        clock: Clock,
        results: Iterable[BucketResult],
        parts: Iterable[Part],
    ) -> Manifest:
        """Makes a step complete: delivers its output, then saves the checkpoint that follows it.

        A crash in between leaves the step to be taken again; its output then replaces the delivered one.

        Args:
            manifest: The checkpoint before the step.
            position: What was taken of the source streams, this step included.
            clock: The clock after the step.
            results: The buckets that were stepped; all others stay as they are.
            parts: What the tasks staged.
        """
        self.sink.deliver(step_name(manifest.step), parts)
        after = self.advance(manifest, position, clock, results)
        self.save(after)
        return after

    def save(self, manifest: Manifest) -> None:
        """Makes a checkpoint the last complete one; what led to it is no longer needed."""
        self.checkpoint.save(manifest)
        self.source.settled(manifest.position)

    def advance(
        self, manifest: Manifest, position: Position, clock: Clock, results: Iterable[BucketResult]
    ) -> Manifest:
        """The checkpoint that follows a step, logged and measured, but not saved; arguments as `complete` takes them."""
        after = replace(_restated(manifest, results), step=manifest.step + 1, position=position, clock=clock)
        total = self.metrics(after)
        log.info("step %d: watermark %s, %s", manifest.step, shown(clock.watermark), shown_counters(total))
        place, now = self.spec.workplace, now_ms()
        Metrics.load(place).after(after, total, now).save(place)
        TakenStep.of(after, now).append(place)
        return after

    def save_late(self, manifest: Manifest, results: Iterable[BucketResult]) -> Manifest:
        """Saves the checkpoint behind the last step, on an engine that does not save with each; gives it.

        Args:
            manifest: The checkpoint after that step, which lacks where the state lies.
            results: Where it lies, of the buckets that were stepped since the last save.
        """
        saved = _restated(manifest, results)
        self.save(saved)
        return saved

    @property
    def is_stopping(self) -> bool:
        """Whether a run without an end has been asked to end, behind the step that it takes."""
        return not self.spec.until_caught_up and is_ordered(self.spec.workplace)

    def metrics(self, manifest: Manifest) -> dict[str, int]:
        """A checkpoint's counters, and its gauges added up over buckets."""
        total = Counter(manifest.counters)
        for bucket in chain.from_iterable(manifest.rounds):
            total.update(bucket.gauges)
        return dict(total)

    def summary(self, metrics: Mapping[str, int], started: float, steps: int, watermark: int) -> Summary:
        """What the run did, saved beside the outputs for whoever started it.

        Args:
            metrics: Counters and gauges, as `metrics` gives them.
            started: `time.monotonic()` when the run began.
            steps: How many steps the job has taken since its first run.
            watermark: The watermark at the end, in epoch ms.
        """
        summary = Summary(
            job=self.spec.job,
            engine=self.spec.engine,
            mode=self.spec.mode,
            output=self.spec.output,
            metrics=dict(metrics),
            balance=self.plan.balance,
            steps=steps,
            watermark=watermark,
            seconds=time.monotonic() - started,
        )
        summary.save(Path(self.spec.output))
        return summary


def _open_source(spec: JobSpec, plan: Plan) -> Source:
    schemas = spec.workplace / SCHEMAS
    if spec.input.startswith(BROKER) or spec.sink or plan.tables:
        return open_source(spec.input, plan.sources, spec.checkpoint, schemas, spec.until)
    return open_unplanned(spec.input, plan.sources, schemas)  # the files replace what was delivered of a step


def _open_sink(spec: JobSpec, plan: Plan) -> Sink:
    contracts = {stream: load(stream) for stream in plan.sinks}
    if plan.tables:
        return _open_tables(spec, {stream: Layout(contracts[stream], by) for stream, by in plan.tables.items()})
    if not spec.sink:
        return open_sink(spec.output, spec.format, contracts)
    # Only a run on a broker needs its client, which not every installation has.
    module = import_module("common.streams.kafka.sink")
    schemas, topics = str(spec.workplace / SCHEMAS), spec.topics(plan)
    sink: Sink = module.open_kafka_sink(spec.sink, spec.identity, spec.output, contracts, schemas, topics)
    return sink


def _restated(manifest: Manifest, results: Iterable[BucketResult]) -> Manifest:
    """A checkpoint with other buckets as they are now."""
    rounds, counters = [list(buckets) for buckets in manifest.rounds], Counter(manifest.counters)
    for result in results:
        rounds[result.round][result.bucket] = result.state
        counters.update(result.counters)
    return replace(manifest, rounds=tuple(map(tuple, rounds)), counters=dict(counters))


def _open_tables(spec: JobSpec, layouts: dict[str, Layout]) -> Sink:
    if not spec.in_database:
        return DeltaTables(spec.output, TablePlace(spec.sink or spec.output), layouts)
    # Only a run on a database needs its client, which not every installation has.
    tables: Sink = import_module("common.tables.postgres").PostgresTables(spec.sink, spec.job, spec.output, layouts)
    return tables


def shown(watermark: int) -> str:
    """A watermark for people."""
    if watermark in (BEGINNING, END):
        return "beginning" if watermark == BEGINNING else "end"
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(watermark / 1000)) + f".{watermark % 1000:03d}Z"


def shown_counters(metrics: Mapping[str, int]) -> str:
    """Counters and gauges on one line."""
    return " ".join(f"{name}={value}" for name, value in sorted(metrics.items()))
