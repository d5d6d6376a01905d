"""A plan on the local engine: threads over splits, then threads over buckets."""

from __future__ import annotations

import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

from common.engines.local.sources import Shuffle
from common.engines.local.state import States
from common.operators.step import BEGINNING, END, Watermarks
from common.runtime.bucket import BucketStep, Inbox, Round, letters_in
from common.runtime.checkpoint import Manifest
from common.runtime.frames import Onward
from common.runtime.run import BATCH, BucketResult, Run, now_ms
from common.runtime.spec import JobSpec
from common.runtime.summary import Summary
from common.streams.folder import Arrivals, Position, Split
from common.streams.sink import Part
from common.streams.staging import step_name

SHUFFLE_BYTES = 256 * 2**20
"""How much of the input a batch run holds in memory before it spills."""
SPLIT_BYTES = 32 * 2**20
POLL_SECONDS = 0.1


def run(spec: JobSpec) -> Summary:
    """Runs one job in this process."""
    opened = Run.open(spec)
    return _batch(opened) if spec.mode == "batch" else _stream(opened)


def _workers(run: Run) -> int:
    """How many threads there are: with more of them than buckets, some would never have anything to do."""
    return min(run.settings.parallelism, run.settings.buckets)


def _batch(run: Run) -> Summary:
    started = time.monotonic()
    run.sink.clear()
    workers = _workers(run)
    splits = run.source.everything(SPLIT_BYTES)
    counters, parts = Counter[str](), list[Part]()
    with tempfile.TemporaryDirectory(prefix="adstream-") as spill, ThreadPoolExecutor(workers) as pool:
        budget = SHUFFLE_BYTES // len(run.rounds)
        shuffles = tuple(Shuffle(Path(spill, str(round_.number)), budget) for round_ in run.rounds)
        for read, staged in pool.map(lambda n: _read(run, splits[n::workers], shuffles, f"dead-{n}"), range(workers)):
            counters.update(read)
            parts.extend(staged)
        for round_ in run.rounds:
            for stepped, staged in _round(run, round_, shuffles, pool):
                counters.update(stepped)
                parts.extend(staged)
    run.sink.deliver(BATCH, parts)
    return run.summary(counters, started, steps=1, watermark=END)


Tally: TypeAlias = tuple[Counter[str], tuple[Part, ...]]
"""What a thread counted, and what it staged."""


Shuffles: TypeAlias = tuple[Shuffle, ...]
"""What goes to each round: from sources, and from the rounds before it."""


def _read(run: Run, splits: tuple[Split, ...], shuffles: Shuffles, part: str) -> Tally:
    """Reads splits into the shuffles, dead letters straight to their sink."""
    now, counters = now_ms(), Counter[str]()
    with run.sink.writer(BATCH, part) as writer:
        for split in splits:
            for batch in run.front.batches(split, now):
                _send(run, shuffles, batch.onward(split.partition))
                counters["records_in"] += batch.records
                if batch.dead.num_rows:
                    letters = letters_in(batch.dead)
                    counters.update({"records_in": letters, "dead_letters": letters})
                    writer.write({run.plan.dead_letters: batch.dead})
    return counters, writer.parts


def _send(run: Run, shuffles: Shuffles, batches: Iterable[Onward]) -> None:
    by_round: dict[int, list[Onward]] = defaultdict(list)
    for batch in batches:
        by_round[run.plan.stage(batch.stage).round].append(batch)
    for number, sent in by_round.items():
        shuffles[number].add(sent)


def _round(run: Run, round_: Round, shuffles: Shuffles, pool: ThreadPoolExecutor) -> Iterator[Tally]:
    """Steps every bucket that has something for a round."""
    stages = [stage.id for stage in round_.stages]
    workers = _workers(run)
    taken = shuffles[round_.number]
    buckets = taken.buckets(stages)

    def step(number: int) -> Tally:
        counters = Counter[str]()
        with run.sink.writer(BATCH, f"r{round_.number}p{number}") as writer:
            for bucket in buckets[number::workers]:
                done = round_.step(0, bucket, {}, taken.take(bucket, stages), Watermarks(BEGINNING, END))
                counters.update(done.counters)
                writer.write(done.records)
                _send(run, shuffles, done.onward)
        return counters, writer.parts

    yield from pool.map(step, range(workers))


def _stream(run: Run) -> Summary:
    started = time.monotonic()
    manifest = run.resume()
    states = States(run.checkpoint)
    with ThreadPoolExecutor(_workers(run)) as pool:
        for arrivals in _arrivals(run, manifest.position):
            manifest = _take(run, manifest, states, arrivals, pool)
        if run.spec.drain:
            manifest = _take(run, manifest, states, None, pool)
    return run.summary(run.metrics(manifest), started, manifest.step, manifest.clock.watermark)


def _arrivals(run: Run, position: Position) -> Iterator[Arrivals]:
    """The steps there are; then those that come, until the run has caught up or is asked to stop."""
    while not run.is_stopping:
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
    splits = arrivals.splits if arrivals else ()
    inboxes, latest = _arrived(run, splits, pool)
    clock = manifest.clock.observe(latest, arrivals.arrived) if arrivals else manifest.clock.ended()
    moments = clock.since(manifest.clock)
    results, parts = list[BucketResult](), list[Part]()
    for round_ in run.rounds:
        mine = inboxes[round_.number]
        kept = manifest.rounds[round_.number]
        live = [b for b in range(run.settings.buckets) if b in mine or kept[b].due_at(clock.watermark)]

        def step(bucket: int, round_: Round = round_, mine: Inboxes = mine) -> BucketStep:
            state = states.get(manifest, round_, bucket)
            return round_.step(manifest.step, bucket, state, mine[bucket], moments)

        with run.sink.writer(step_name(manifest.step), f"r{round_.number}") as writer:
            for bucket, done in zip(live, pool.map(step, live), strict=True):
                writer.write(done.records)
                results.append(states.put(manifest.step, round_, bucket, done))
                _put(run, inboxes, done.onward)
        parts.extend(writer.parts)
    position = arrivals.position if arrivals else manifest.position
    return run.complete(manifest, position, clock, results, parts)


Inboxes: TypeAlias = defaultdict[int, Inbox]
"""What has arrived, by bucket."""


def _put(run: Run, inboxes: defaultdict[int, Inboxes], batches: Iterable[Onward]) -> None:
    """Puts batches into the inboxes, by round and bucket, that they are on their way to."""
    for sent in batches:
        inboxes[run.plan.stage(sent.stage).round][sent.bucket].add(sent.stage, sent.order, sent.events)


def _arrived(
    run: Run, splits: tuple[Split, ...], pool: ThreadPoolExecutor
) -> tuple[defaultdict[int, Inboxes], dict[str, int]]:
    """What the splits hold, by round and bucket, and the latest event time of each partition that had an event."""
    inboxes: defaultdict[int, Inboxes] = defaultdict(lambda: defaultdict(Inbox))
    latest: dict[str, int] = {}
    now = now_ms()
    for split, batches in zip(splits, pool.map(lambda split: list(run.front.batches(split, now)), splits), strict=True):
        for batch in batches:
            _put(run, inboxes, batch.onward(split.partition))
            if batch.dead.num_rows or batch.records:
                home = inboxes[0][batch.home]
                home.records += batch.records
                home.dead.append(batch.dead)
            if batch.latest > BEGINNING:
                latest[split.partition] = max(batch.latest, latest.get(split.partition, BEGINNING))
    return inboxes, latest
