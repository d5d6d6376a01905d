"""Conversions: the views of a session that became clicks (SEMANTICS.md, "Engagements")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from common.operators.order import order_by

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Attribution = Literal["every_view", "one_to_one"]
"""Whether a click converts every view of its advertisement before it, or the earliest that no click has yet."""


@dataclass(frozen=True)
class Conversions:
    """How many conversions advertisements have in sessions; none of them 0, sorted by session and advertisement.

    Attributes:
        session: The place of the session.
        advertisement: The advertisement.
        count: Its conversions in that session.
    """

    session: Ints
    advertisement: Ints
    count: Ints


def conversions(lengths: Ints, advertisements: Ints, clicks: Bools, attribution: Attribution) -> Conversions:
    """Counts the conversions of each advertisement in each session.

    Args:
        lengths: How many actions each session has.
        advertisements: The advertisement of each action, session by session, in the sessions' order.
        clicks: Whether each action is a click; else it is a view.
        attribution: Which views a click converts.
    """
    if len(advertisements) == 0:
        return Conversions(*(np.zeros(0, dtype=np.int64),) * 3)
    session = np.repeat(np.arange(len(lengths)), lengths)
    order = order_by([session, advertisements, np.arange(len(advertisements))])
    session, advertisement, click = session[order], advertisements[order], clicks[order]
    first = np.append(True, (session[1:] != session[:-1]) | (advertisement[1:] != advertisement[:-1]))
    starts = np.flatnonzero(first)
    count = _COUNTS[attribution](click, starts, np.cumsum(first) - 1)
    converted = starts[count > 0]
    return Conversions(session[converted], advertisement[converted], count[count > 0])


def _every_view(click: Bools, starts: npt.NDArray[np.intp], group: Ints) -> Ints:
    """The views before the last click of each group."""
    place = np.arange(len(click))
    last_click = np.maximum.reduceat(np.where(click, place, -1), starts)
    counts: Ints = np.add.reduceat((~click & (place < last_click[group])).astype(np.int64), starts)
    return counts


def _one_to_one(click: Bools, starts: npt.NDArray[np.intp], group: Ints) -> Ints:
    """The clicks of each group that find a view; as many do not as clicks are ever ahead of views."""
    step = np.where(click, -1, 1)
    running = np.cumsum(step)
    unpaired = np.minimum.reduceat(running - (running - step)[starts][group], starts)
    counts: Ints = np.add.reduceat(click.astype(np.int64), starts) + np.minimum(unpaired, 0)
    return counts


_COUNTS: Mapping[Attribution, Callable[[Bools, npt.NDArray[np.intp], Ints], Ints]] = {
    "every_view": _every_view,
    "one_to_one": _one_to_one,
}
