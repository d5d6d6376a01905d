"""Wrong engines for the cases of engagements, as `flaws.py` has them for those of sessions."""

from __future__ import annotations

from tests.conformance.flaws import Flaw

CONTRIBUTIONS = "common.operators.contributions"
TOTALS = "common.operators.totals"
JOIN = "common.operators.join"
SIDES = "common.operators.sides"
KEYS = "common.operators.keys"
CONVERSIONS = "jobs.engagements.conversions"

FLAWS = (
    Flaw(
        "a corrected session is billed on top of what it was",
        CONTRIBUTIONS,
        "before = rows_or_null(contributed, held_rows)",
        "before = rows_or_null(contributed, held_rows * 0 - 1)",
        "corrections-late-click-straight",
        "+ ad1 3 -",
        f"{CONTRIBUTIONS}:Contributions.step",
    ),
    Flaw(
        "what was billed is forgotten",
        CONTRIBUTIONS,
        "item_counts(after) > 0, self.state_schema",
        "item_counts(after) > 9, self.state_schema",
        "corrections-redelivered-straight",
        "+ ad1 2 -",
        f"{CONTRIBUTIONS}:Contributions.step",
    ),
    Flaw(
        "each record of a session in a step counts the first",
        KEYS,
        "last[places[rows]] = rows",
        "last[places[rows[::-1]]] = rows[::-1]",
        "corrections-last-of-a-step-straight",
        "- ad1 2 -",
        f"{CONTRIBUTIONS}:last_rows",
    ),
    Flaw(
        "a total that is back at 0 stays",
        TOTALS,
        "pa.array(after, mask=after == 0)",
        "pa.array(after, mask=(after == 0) & (before == 0))",
        "corrections-back-to-nothing-straight",
        "+ ad1 0 -",
        f"{TOTALS}:Totals.step",
    ),
    Flaw(
        "a total is written whenever its advertisement comes",
        SIDES,
        "stands = was & same(before.left, after.left) & same(before.right, after.right)",
        "stands = was & False",
        "enriched-says-nothing-twice-straight",
        "+ ad1 - Gerbils/Pets",
        f"{JOIN}:Joined",
    ),
    Flaw(
        "an advertisement waits for its first conversion",
        SIDES,
        '"full": left | right',
        '"full": left',
        "enriched-whatever-comes-first-straight",
        "- ad1 - Gerbils/Pets",
        f"{SIDES}:Sides.joined",
    ),
    Flaw(
        "conversions of an unknown advertisement are held back",
        SIDES,
        '"full": left | right',
        '"full": right',
        "enriched-whatever-comes-first-straight",
        "- ad2 1 -",
        f"{SIDES}:Sides.joined",
    ),
    Flaw(
        "nothing is said when neither side is left",
        SIDES,
        "pa.array(was & ~is_)",
        "pa.array(was & ~is_ & False)",
        "enriched-both-sides-go-straight",
        "- ad1 null",
        f"{SIDES}:Joined.of",
    ),
    Flaw(
        "a side is kept only when the other is there",
        JOIN,
        'after.joined("full"), self.state_schema',
        'after.joined("inner"), self.state_schema',
        "enriched-whatever-comes-first-straight",
        "- ad2 1 Ducks/Pets",
        f"{JOIN}:Join.step",
    ),
    Flaw(
        "a click converts one view only",
        CONVERSIONS,
        "_COUNTS[attribution]",
        '_COUNTS["one_to_one"]',
        "conversions-every-view-straight",
        "- ad1 2 -",
        "jobs.engagements.events:conversions",
    ),
    Flaw(
        "a click converts the views after it",
        CONVERSIONS,
        "(place < last_click[group])",
        "(last_click[group] >= 0)",
        "conversions-order-straight",
        "+ ad1 1 -",
        "jobs.engagements.events:conversions",
    ),
    Flaw(
        "tables by key are lost at a restart",
        "common.runtime.keyed",
        "for place in reversed(range(len(stored.paths))):",
        "for place in ():",
        "corrections-across-steps-stopped",
        "- ad1 3 -",
        "common.runtime.keyed:Segments.find",
    ),
)
