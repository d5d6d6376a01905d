"""Wrong engines for the cases of eventification, as `flaws.py` has them for those of sessions."""

from __future__ import annotations

from tests.conformance.flaws import Flaw

FOREIGN_KEY = "common.operators.foreign_key"

FLAWS = (
    Flaw(
        "a change of a target is not told",
        FOREIGN_KEY,
        "answered = changed[pairs.reference] | (pairs.new & valid(after)[pairs.reference])",
        "answered = pairs.new & valid(after)[pairs.reference]",
        "references-any-side-changes-straight",
        "- ad1 Gerbils/Pets c2:Spring k3:Joshua/DE",
        f"{FOREIGN_KEY}:Subscriptions.step",
    ),
    Flaw(
        "a target that is known already is not told",
        FOREIGN_KEY,
        "answered = changed[pairs.reference] | (pairs.new & valid(after)[pairs.reference])",
        "answered = changed[pairs.reference]",
        "references-whatever-comes-first-straight",
        "- ad1 Gerbils/Pets c2:Spring k3:Josh/DE",
        f"{FOREIGN_KEY}:Subscriptions.step",
    ),
    Flaw(
        "a target is forgotten until somebody refers to it",
        FOREIGN_KEY,
        "valid(targets) | (np.diff(offsets) > 0)",
        "np.diff(offsets) > 0",
        "references-whatever-comes-first-straight",
        "- ad1 Gerbils/Pets c2:Spring k3:Josh/DE",
        f"{FOREIGN_KEY}:Subscriptions._state",
    ),
    Flaw(
        "a row that refers to nothing any more keeps what it had",
        FOREIGN_KEY,
        "np.where(refers & stays, held_rows, -1)",
        "held_rows",
        "references-turn-straight",
        "- ad1 Gerbils/Pets - -",
        f"{FOREIGN_KEY}:Responses.step",
    ),
    Flaw(
        "a row is forgotten until its target is known",
        FOREIGN_KEY,
        'after.joined("left"), self.state_schema',
        'after.joined("inner"), self.state_schema',
        "references-whatever-comes-first-straight",
        "- ad1 Gerbils/Pets c2:Spring k3:Josh/DE",
        f"{FOREIGN_KEY}:Responses.step",
    ),
)
