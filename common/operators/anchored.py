"""Windows that begin with their first event: what follows within a width belongs to it, what comes later begins anew."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def anchors(keys: Ints, times: Ints, width: int) -> Bools:
    """Of rows sorted by key and time, which of them begin a window.

    A key's first row begins one; it holds the key's rows at most `width` ms later, and the first
    one after those begins the next.

    Args:
        keys: The key of each row, as a number.
        times: The time of each row, in ms.
        width: How long a window is, in ms; a row exactly that much later is still in it.
    """
    begins = np.zeros(len(keys), dtype=np.bool_)
    if len(keys) == 0:
        return begins
    following = _following(keys, times, width)
    current = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    while current.size:  # one round for the n-th window of every key
        begins[current] = True
        later = following[current]
        inside = later < len(keys)
        current, later = current[inside], later[inside]
        current = later[keys[later] == keys[current]]
    return begins


def _following(keys: Ints, times: Ints, width: int) -> Ints:
    """The first row after each that is not in the window that would begin there."""
    moments, rank = np.unique(times, return_inverse=True)
    limit = np.searchsorted(moments, times + width, side="right")
    # Ranks instead of times: key and rank together stay far below int64's edge, whatever the times are.
    codes = np.unique(keys, return_inverse=True)[1]
    size = len(moments) + 1
    following: Ints = np.searchsorted(codes * size + rank, codes * size + limit)
    return following
