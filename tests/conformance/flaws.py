"""Wrong engines: the local engine with one line of the suite's code written wrong.

A flaw names the right text, which must stand exactly once in its module, so a flaw that no longer
changes anything can't be mistaken for one that was found.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import pytest

SESSIONS = "common.operators.sessions"
CLOCK = "common.runtime.clock"
LOCAL = "common.engines.local.translate"


@dataclass(frozen=True)
class Flaw:
    """One wrong line.

    Attributes:
        name: What the engine does wrong.
        module: The module that the line is in.
        right: The text as it is.
        wrong: What stands in its place.
        shown_by: The exercise that must find it: a case and its play.
        because: What the kit must say.
        replaced: The functions that the wrong module lends to the engine: `module:name`, or
            `module:Class.name`.
    """

    name: str
    module: str
    right: str
    wrong: str
    shown_by: str
    because: str
    replaced: str = f"{SESSIONS}:Sessions.step"

    def put_in(self, patch: pytest.MonkeyPatch) -> None:
        """Makes this process's local engine wrong, until the patch is undone."""
        owner_name, _, path = self.replaced.partition(":")
        owner: object = import_module(owner_name)
        lent: object = self._wrong_module()
        *parents, last = path.split(".")
        for parent in parents:
            owner, lent = getattr(owner, parent), getattr(lent, parent)
        patch.setattr(owner, last, getattr(lent, last))

    def _wrong_module(self) -> ModuleType:
        source = inspect.getsource(import_module(self.module))
        found = source.count(self.right)
        if found != 1:
            raise LookupError(f"flaw '{self.name}': its line stands {found} times in {self.module}")
        module = ModuleType(self.module)
        exec(compile(source.replace(self.right, self.wrong), f"<{self.name}>", "exec"), module.__dict__)  # noqa: S102
        return module


FLAWS = (
    Flaw(
        "a break of exactly the gap ends a session",
        SESSIONS,
        "actions.follows(gap)",
        "actions.follows(gap - 1)",
        "exact-gap-same-session-straight",
        "- ada 0..20 V1@0 V1@10",
    ),
    Flaw(
        "sessions close one ms early",
        SESSIONS,
        "(end <= time.after)",
        "(end <= time.after + 1)",
        "exact-gap-last-before-the-watermark-straight",
        "+ ada 0..10 V1@0",
    ),
    Flaw(
        "sessions close one ms late",
        SESSIONS,
        "(end <= time.after)",
        "(end < time.after)",
        "exact-gap-closes-at-its-end-straight",
        "- ada 0..10 V1@0",
    ),
    Flaw(
        "late events are dropped in silence",
        SESSIONS,
        "late_rows(late, time.before),\n            },",
        "late_rows(late, time.before).slice(0, 0),\n            },",
        "drop-late-straight",
        "- ada V1@5 at watermark 19",
    ),
    Flaw(
        "an event exactly at the late limit is accepted",
        SESSIONS,
        "<= time.before - self.grace",
        "< time.before - self.grace",
        "late-limit-with-grace-straight",
        "- u70 V1@70 at watermark 100",
    ),
    Flaw(
        "an event one ms before the late limit is late",
        SESSIONS,
        "<= time.before - self.grace",
        "<= time.before - self.grace + 1",
        "late-limit-without-grace-straight",
        "+ u101 V1@101 at watermark 100",
    ),
    Flaw(
        "events are late by the watermark after their batch",
        SESSIONS,
        "<= time.before - self.grace",
        "<= time.after - self.grace",
        "late-limit-before-the-batch-straight",
        "+ ada V1@71 at watermark 100",
    ),
    Flaw(
        "an old event is accepted beside an open session",
        SESSIONS,
        'split(events, events["eventTime"].to_numpy() <= time.before - self.grace)',
        'split(events, events["eventTime"].to_numpy() + self.gap <= time.before - self.grace)',
        "old-inside-an-open-session-straight",
        "- ada V1@24 at watermark 30",
    ),
    Flaw(
        "tombstones are missing",
        SESSIONS,
        "was_emitted & ~same_key)",
        "was_emitted & ~same_key & False)",
        "grace-joins-two-emitted-sessions-straight",
        "- ada 16..26 null",
    ),
    Flaw(
        "a session that changed under the same key is not emitted again",
        SESSIONS,
        "stands[session_of_held[unchanged]]",
        "stands[session_of_held[was_emitted & same_key]]",
        "grace-grows-inside-straight",
        "- ada 0..18 V1@0 C1@4 V1@8",
    ),
    Flaw(
        "sessions are emitted again at each step while they are held",
        SESSIONS,
        "(end <= time.after) & ~was_emitted",
        "(end <= time.after)",
        "redelivery-to-an-emitted-session-straight",
        "+ ada 20..35 V1@20 V1@25",
    ),
    Flaw(
        "copies are counted",
        SESSIONS,
        "unique = ~actions.repeats()",
        "unique = ~(actions.repeats() & False)",
        "redelivery-to-an-open-session-straight",
        "+ ada 20..40 V1@20 V1@20 V1@25 V1@25 C1@30 C1@30",
    ),
    Flaw(
        "emitted sessions are forgotten at once",
        SESSIONS,
        "kept = end > time.after - self.grace",
        "kept = end > time.after",
        "grace-joins-two-emitted-sessions-straight",
        "- ada 0..10 null",
    ),
    Flaw(
        "sessions are forgotten one ms early",
        SESSIONS,
        "kept = end > time.after - self.grace",
        "kept = end > time.after - self.grace + 1",
        "forgotten-one-ms-later-straight",
        "- ada 0..20 V1@0 V1@10",
    ),
    Flaw(
        "actions of one time are in the order of advertisements",
        SESSIONS,
        "unsorted.time, unsorted.action, unsorted.ad]",
        "unsorted.time, unsorted.ad, unsorted.action]",
        "grouping-views-and-clicks-straight",
        "- ada 0..15 C3@0 V1@5 V2@5 C1@5",
    ),
    Flaw(
        "the watermark is that of the stream furthest ahead",
        CLOCK,
        "min(live, default=BEGINNING)",
        "max(live, default=BEGINNING)",
        "silent-behind-stream-holds-the-watermark-straight",
        "the last watermark is 999, not 899",
        f"{CLOCK}:Clock.observe",
    ),
    Flaw(
        "the watermark is the latest time itself",
        CLOCK,
        "ahead - self.out_of_orderness - 1 if",
        "ahead - self.out_of_orderness if",
        "exact-gap-last-before-the-watermark-straight",
        "+ ada 0..10 V1@0",
        f"{CLOCK}:Clock.observe",
    ),
    Flaw(
        "the watermark ignores out_of_orderness",
        CLOCK,
        "ahead - self.out_of_orderness - 1 if",
        "ahead - 1 if",
        "wait-counts-what-drop-loses-straight",
        "+ ada V1@5 at watermark 19",
        f"{CLOCK}:Clock.observe",
    ),
    Flaw(
        "a stream is idle one step late",
        CLOCK,
        "heard[p] >= self.idle_after",
        "heard[p] > self.idle_after",
        "idle-stream-is-left-out-straight",
        "- ada 0..10 V1@0",
        f"{CLOCK}:Clock.observe",
    ),
    Flaw(
        "the watermark goes back when a stream wakes up",
        CLOCK,
        "watermark=max(self.watermark, watermark)",
        "watermark=watermark",
        "idle-stream-wakes-up-straight",
        "the run failed",
        f"{CLOCK}:Clock.observe",
    ),
    Flaw(
        "the end of the input closes nothing",
        CLOCK,
        "return replace(self, watermark=END)",
        "return self",
        "wait-counts-what-drop-loses-straight",
        "- ada 0..19 V1@0 V1@5 C7@9",
        f"{CLOCK}:Clock.ended",
    ),
    Flaw(
        "the state is lost at a restart",
        "common.runtime.checkpoint",
        "if not stored.paths:",
        "if schema is not None:",
        "restart-with-everything-stopped",
        "- ada 0..26 V1@0 V1@8 V1@16",
        "common.runtime.checkpoint:Checkpoint._read",
    ),
    Flaw(
        "the watermark is lost at a restart",
        "common.runtime.run",
        "clock = replace(manifest.clock, out",
        "clock = replace(start.clock, out",
        "restart-keeps-the-watermark-stopped",
        "- eve V1@89 at watermark 99",
        "common.runtime.run:Run._under_settings",
    ),
    Flaw(
        "the position is lost at a restart",
        "common.runtime.run",
        "step=manifest.step + 1, position=position, clock=clock)",
        "step=manifest.step + 1, position=Position(), clock=clock)",
        "restart-after-the-last-step-stopped",
        "steps were taken, not 2",
        "common.runtime.run:Run.advance",
    ),
    Flaw(
        "an output is delivered twice",
        LOCAL,
        "writer.write(done.records)\n                results",
        "writer.write(done.records)\n                writer.write(done.records)\n                results",
        "drop-late-straight",
        "+ ada 0..10 V1@0",
        f"{LOCAL}:_take",
    ),
    Flaw(
        "buckets without events are never stepped",
        LOCAL,
        " or kept[b].due_at(clock.watermark)",
        "",
        "wait-holds-back-straight",
        "- ada 0..10 V1@0",
        f"{LOCAL}:_take",
    ),
    Flaw(
        "dead letters are counted but not written",
        LOCAL,
        "home.dead.append(batch.dead)",
        "home.dead.append(batch.dead.slice(0, 0))",
        "bad-times-straight",
        "value.createdEventTime is negative",
        f"{LOCAL}:_arrived",
    ),
    Flaw(
        "events of a bounded run can be late",
        LOCAL,
        "Watermarks(BEGINNING, END))",
        "Watermarks(1_000, END))",
        "bounded-corrections-bounded",
        "+ ada V1@0 at watermark 1000",
        f"{LOCAL}:_round",
    ),
)
