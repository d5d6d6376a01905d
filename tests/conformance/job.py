"""What the kit knows of a job: how its records are written in cases, and what must come of them.

All else - how a case is played, stopped, packed and compared - is the same for every job.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tests.conformance.case import Case

SETTINGS: Mapping[str, Any] = MappingProxyType(
    {"out_of_orderness": 0, "idle_after": 0, "max_future_skew": 0, "buckets": 4, "parallelism": 2}
)
"""What every job can be set to, for a case that says nothing else."""


class Change(Protocol):
    """A record of an output stream: what a key has now, or that it has nothing any more."""

    @property
    def stream(self) -> str:
        """The stream that it is written to."""
        ...

    @property
    def key(self) -> Hashable:
        """Its key in that stream."""
        ...

    @property
    def gone(self) -> bool:
        """Whether it is a tombstone."""
        ...

    def tombstone(self) -> Change:
        """The tombstone of its key."""
        ...


class Job(Protocol):
    """A job and the notation of its cases. Events and changes are values of the job's own."""

    @property
    def name(self) -> str:
        """The job's name, and the folder of its cases."""
        ...

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of its cases, in the order in which they are reported."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """The streams that it reads."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """The streams that it writes changes to."""
        ...

    @property
    def timed(self) -> tuple[str, ...]:
        """Those of its sources whose events have a `time`, which moves the watermark."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of a case that says nothing else: `SETTINGS`, and what is the job's own."""
        ...

    def parse_event(self, text: str) -> Any:
        """What arrives, as a case writes it."""
        ...

    def show_event(self, event: Any) -> str:
        """The text that `parse_event` reads back."""
        ...

    def parse_change(self, text: str) -> Change:
        """What comes out, as a case writes it."""
        ...

    def show_change(self, change: Any) -> str:
        """The text that `parse_change` reads back."""
        ...

    def record(self, event: Any) -> tuple[str, bytes]:
        """The stream that an event arrives on, and its line there."""
        ...

    def ticks(self, time: int) -> tuple[Any, ...]:
        """The events that move the watermark to just before `time`, and are otherwise nobody's concern."""
        ...

    def read(self, stream: str, record: dict[str, Any]) -> Change | None:
        """A record of an output stream; None for what only `ticks` brought about."""
        ...

    def read_late(self, record: dict[str, Any]) -> Any:
        """The event that a record of `late-events` holds."""
        ...

    def reach(self, case: Case) -> int:
        """The latest time, in ms, up to which the events of a case could touch others; far for what can't be moved."""
        ...

    def moved(self, item: Any, place: int, by: int) -> Any:
        """An event or change of a case, as it is at a place of a pack: `by` ms later, under names of its own."""
        ...

    def back(self, item: Any, place: int, by: int) -> Any:
        """What `moved` made of it, undone; what is of another place keeps the name that shows it."""
        ...

    def place_of(self, item: Any, places: int) -> int:
        """The place of an event or change in a pack of so many; the last answers for those of none."""
        ...

    def expect(self, case: Case) -> Case:
        """The case with the expectations that the job's oracle gives; dead letters stay as they are."""
        ...
