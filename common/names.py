"""Names that a user typed, against those there are."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from common.errors import AdstreamError


def pick(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """The name, when it is known.

    Args:
        kind: What it names, for the message: `engine`, `stream`, `setting`.
        name: What was typed.
        known: The valid names.
        where: Where it was typed, for the message: a file, a variable, an option.

    Raises:
        AdstreamError: It is not known; the remedy gives the nearest valid name, or all of them.
    """
    names = sorted(known)
    if name in names:
        return name
    raise AdstreamError(
        f"{where}: unknown {kind} '{name}'" if where else f"unknown {kind} '{name}'", nearest(name, names)
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest valid one, or all of them."""
    names = sorted(known)
    close = get_close_matches(name.replace("-", "_").lower(), [n.replace("-", "_").lower() for n in names], n=1)
    if close:
        match = next(n for n in names if n.replace("-", "_").lower() == close[0])
        return f"did you mean '{match}'?"
    return f"choose one of {', '.join(names)}" if names else "there is none"
