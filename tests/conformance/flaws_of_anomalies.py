"""Wrong engines for the cases of anomalies, as `flaws.py` has them for those of sessions."""

from __future__ import annotations

from tests.conformance.flaws import Flaw

WINDOWS = "common.operators.windows"
BASELINE = "common.operators.baseline"
RULES = "common.operators.session_rules"
LATE = "common.operators.late"

FLAWS = (
    Flaw(
        "windows close one ms late",
        WINDOWS,
        "last = np.minimum(pane + self.size, time.after // self.every * self.every)",
        "last = np.minimum(pane + self.size, (time.after - 1) // self.every * self.every)",
        "click-rate-at-the-end-of-a-window-straight",
        "- click-rate eve 0..10 3 2 1.5 3",
        f"{WINDOWS}:Windows._windows",
    ),
    Flaw(
        "a window that closed is never corrected",
        WINDOWS,
        "(end > time.before) | fresh",
        "(end > time.before)",
        "click-rate-corrected-straight",
        "- click-rate ada 0..10 3 2 1.5 3",
        f"{WINDOWS}:Windows._windows",
    ),
    Flaw(
        "a corrected window counts only what is new",
        WINDOWS,
        "first[corrected] = pane[corrected] + self.every",
        "first[new] = pane[new] + self.every",
        "click-rate-corrected-straight",
        "- click-rate ada 5..15 4 2 2 4",
        f"{WINDOWS}:Windows._windows",
    ),
    Flaw(
        "events are forgotten when their windows close",
        WINDOWS,
        "kept = self._last_end(event_time) > time.after - self.grace",
        "kept = self._last_end(event_time) > time.after",
        "click-rate-corrected-straight",
        "- click-rate ada 0..10 3 2 1.5 3",
        f"{WINDOWS}:Windows.step",
    ),
    Flaw(
        "copies are counted in windows",
        WINDOWS,
        "self._unseen(state, accepted) if self.dedupe else accepted",
        "accepted",
        "click-rate-redelivered-straight",
        "+ click-rate ada 0..10 3 2 1.5 3",
        f"{WINDOWS}:Windows.step",
    ),
    Flaw(
        "an event at the late limit is in a window",
        WINDOWS,
        "<= time.before - self.grace",
        "< time.before - self.grace",
        "click-rate-late-straight",
        "+ click-rate ada 5..15 4 2 2 4",
        f"{WINDOWS}:Windows.step",
    ),
    Flaw(
        "a window is in its own baseline",
        BASELINE,
        "rows[:, np.newaxis] - 1 - steps",
        "rows[:, np.newaxis] - steps",
        "click-through-against-its-past-straight",
        "- click-through 1 20..30 0.5 0 4 2",
        f"{BASELINE}:_before",
    ),
    Flaw(
        "windows without support are a baseline",
        BASELINE,
        ">= self.support",
        ">= 0 * self.support",
        "click-through-without-support-straight",
        "+ click-through 1",
        f"{BASELINE}:Baseline._supported",
    ),
    Flaw(
        "what a corrected window makes untrue of later ones stays",
        BASELINE,
        "changes(self._judge(self._sorted(state), correctable), self._judge(after, correctable))",
        "self._judge(after, correctable)",
        "click-through-corrected-baseline-straight",
        "- click-through 1 10..20 null",
        f"{BASELINE}:Baseline.step",
    ),
    Flaw(
        "a late action does not take back what was found of a session",
        RULES,
        "changes(self._judge(stood), ",
        "changes(self._judge(stood.slice(0, 0)), ",
        "session-rules-taken-back-straight",
        "- no-pause ada 0..16 null",
        f"{RULES}:SessionRules._changes",
    ),
)
