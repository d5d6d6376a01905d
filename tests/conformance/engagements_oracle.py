"""Engagements by the book: SEMANTICS.md in as few lines as it takes, recomputed from everything each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tests.conformance.notation import Action

VIEW = 0


def conversions(actions: Sequence[Action], attribution: str) -> Counter[int]:
    """The conversions of one session, by advertisement; none are left out."""
    counts, unpaired = Counter[int](), Counter[int]()
    for place, (_, action, ad) in enumerate(actions):
        if attribution == "every_view":
            counts[ad] += action == VIEW and any(later[1:] == (1, ad) for later in actions[place + 1 :])
        elif action == VIEW:
            unpaired[ad] += 1
        elif unpaired[ad]:
            unpaired[ad] -= 1
            counts[ad] += 1
    return +counts


Enriched = tuple["int | None", "str | None", "str | None"]
"""(sum, name, type)"""


def engagements(
    sessions: Iterable[Sequence[Action]], advertisements: Mapping[int, tuple[str, str]], attribution: str
) -> dict[int, Enriched]:
    """The enriched advertisements of some sessions and all advertisements that are known."""
    sums = Counter[int]()
    for actions in sessions:
        sums.update(conversions(actions, attribution))
    return {ad: (sums.get(ad), *advertisements.get(ad, (None, None))) for ad in sums.keys() | advertisements.keys()}
