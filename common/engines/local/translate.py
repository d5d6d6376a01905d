"""A plan on the local engine: threads over splits, then threads over buckets."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from common.engines.local.sources import Shuffle
from common.engines.local.state import States
from common.operators.step import BEGINNING, END, Watermarks
from common.runtime.bucket import BucketStep, letters_in, step_tables
from common.runtime.checkpoint import Manifest
from common.runtime.run import BATCH, BucketResult, Run, now_ms, step_name
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.folder import Arrivals, Position, Split
from common.streams.sink import Part

SHUFFLE_BYTES = 256 * 2**20
"""How much of the input a batch run holds in memory before it spills."""
SPLIT_BYTES = 32 * 2**20
POLL_SECONDS = 0.5


def run(spec: JobSpec) -> Summary:
    """Runs one job in this process."""
    opened = Run.open(spec)
    return _batch(opened) if spec.mode == "batch" else _stream(opened)


def _batch(run: Run) -> Summary:
    started = time.monotonic()
    run.sink.clear()
    workers = run.settings.parallelism
    splits = run.source.everything(SPLIT_BYTES)
    counters, parts = Counter[str](), list[Part]()
    with tempfile.TemporaryDirectory(prefix="adstream-") as spill, ThreadPoolExecutor(workers) as pool:
        shuffle = Shuffle(Path(spill), SHUFFLE_BYTES)
        for dead, staged in pool.map(lambda n: _read(run, splits[n::workers], shuffle, f"dead-{n}"), range(workers)):
            counters.update({"dead_letters": dead, "records_in": dead})
            parts.extend(staged)
        buckets = shuffle.seal()
        for stepped, staged in pool.map(lambda n: _step(run, buckets[n::workers], shuffle, f"p{n}"), range(workers)):
            counters.update(stepped)
            parts.extend(staged)
    run.sink.deliver(BATCH, parts)
    return run.summary(counters, started, steps=1, watermark=END)


def _read(run: Run, splits: tuple[Split, ...], shuffle: Shuffle, part: str) -> tuple[int, tuple[Part, ...]]:
    """Reads splits into the shuffle, dead letters straight to their sink."""
    now, letters = now_ms(), 0
    with run.sink.writer(BATCH, part) as writer:
        for split in splits:
            for batch in run.front.batches(split, now):
                shuffle.add(batch.events)
                if batch.dead.num_rows:
                    letters += letters_in(batch.dead)
                    writer.write({run.plan.dead_letters: batch.dead})
    return letters, writer.parts


def _step(run: Run, buckets: tuple[int, ...], shuffle: Shuffle, part: str) -> tuple[Counter[str], tuple[Part, ...]]:
    """Steps whole buckets, one after another."""
    counters: Counter[str] = Counter()
    empty = run.plan.operator.state_schema.empty_table()
    with run.sink.writer(BATCH, part) as writer:
        for bucket in buckets:
            step = step_tables(run.plan, empty, shuffle.take(bucket), [], Watermarks(BEGINNING, END))
            counters.update(step.counters)
            writer.write(step.records)
    return counters, writer.parts


def _stream(run: Run) -> Summary:
    started = time.monotonic()
    manifest = run.resume()
    states = States(run.checkpoint, run.plan.operator.state_schema)
    with ThreadPoolExecutor(run.settings.parallelism) as pool:
        for arrivals in _arrivals(run, manifest.position):
            manifest = _take(run, manifest, states, arrivals, pool)
        if run.spec.drain:
            manifest = _take(run, manifest, states, None, pool)
    return run.summary(run.metrics(manifest), started, manifest.step, manifest.clock.watermark)


def _arrivals(run: Run, position: Position) -> Iterator[Arrivals]:
    """The steps there are; then those that come, unless the run ends when it has caught up."""
    while True:
        arrivals = run.source.next_step(position)
        if arrivals is not None:
            position = arrivals.position
            yield arrivals
        elif run.spec.until_caught_up:
            return
        else:
            time.sleep(POLL_SECONDS)


def _take(
    run: Run, manifest: Manifest, states: States, arrivals: Arrivals | None, pool: ThreadPoolExecutor
) -> Manifest:
    """Takes one step; None is the end of the input."""
    events, dead = defaultdict[int, list[pa.Table]](list), defaultdict[int, list[pa.Table]](list)
    latest: dict[str, int] = {}
    now = now_ms()
    splits = arrivals.splits if arrivals else ()
    for split, batches in zip(splits, pool.map(lambda split: list(run.front.batches(split, now)), splits), strict=True):
        for batch in batches:
            for bucket, rows in batch.events.items():
                events[bucket].append(rows)
            if batch.dead.num_rows:
                dead[batch.dead_bucket].append(batch.dead)
            if batch.latest > BEGINNING:
                latest[split.partition] = max(batch.latest, latest.get(split.partition, BEGINNING))
    clock = manifest.clock.observe(latest, arrivals.arrived) if arrivals else manifest.clock.ended()
    moments = clock.since(manifest.clock)

    def step(bucket: int) -> tuple[int, BucketStep]:
        state = states.get(manifest, bucket)
        return bucket, step_tables(run.plan, state, events[bucket], dead[bucket], moments)

    live = [b for b, kept in enumerate(manifest.buckets) if b in events or b in dead or kept.due <= clock.watermark]
    results = []
    with run.sink.writer(step_name(manifest.step), "p0") as writer:
        for bucket, stepped in pool.map(step, live):
            writer.write(stepped.records)
            path = states.put(manifest.step, bucket, stepped.state)
            results.append(BucketResult(bucket, path, stepped.due, stepped.counters, stepped.gauges))
    position = arrivals.position if arrivals else manifest.position
    return run.complete(manifest, position, clock, results, writer.parts)
