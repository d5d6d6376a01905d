"""Who must be told of a change of contracts, and what each of them must do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from common.config.jobs import jobs, settings_type, topology_of
from common.contracts.changes import NOTHING, Change
from common.errors import AdstreamError
from common.lineage.graph import Job, Lineage
from common.topology.checks import check


@dataclass(frozen=True)
class Told:
    """A reader or writer of a stream that changed.

    Attributes:
        name: The job, or the team that reads it with tools of its own.
        team: The team that answers for it.
        todo: What it must do, one thing each; none if nothing.
    """

    name: str
    team: str
    todo: tuple[str, ...]


@dataclass(frozen=True)
class Notice:
    """A change, and who is concerned.

    Attributes:
        change: What changed of a stream.
        readers: The jobs that read it, and the teams that do so with tools of their own.
        writers: The jobs that write it.
        misfits: Of these jobs, those that don't fit the contract any more.
    """

    change: Change
    readers: tuple[Told, ...]
    writers: tuple[Told, ...]
    misfits: tuple[str, ...]

    @property
    def compatible(self) -> bool:
        """Whether everybody can stay as they are."""
        broken = {"rules", "readers"} if self.readers else {"rules"}
        return not self.misfits and not any(each.breaks in broken for each in self.change.differences)


def notices(found: Sequence[Change], lineage: Lineage, misfits: Mapping[str, str]) -> tuple[Notice, ...]:
    """A notice for each change.

    Args:
        found: What changed.
        lineage: Who reads and writes what.
        misfits: The jobs that don't fit the contracts as they are now, with the reason.
    """
    return tuple(_notice(change, lineage, misfits) for change in found)


def misfits() -> dict[str, str]:
    """The jobs of this suite that can't run with its contracts, with the reason."""
    return dict(_misfits())


def _misfits() -> Iterator[tuple[str, str]]:
    for job in jobs():
        try:
            check(topology_of(job, settings_type(job)()))
        except AdstreamError as error:
            yield job, str(error)


def _notice(change: Change, lineage: Lineage, misfits: Mapping[str, str]) -> Notice:
    asked = tuple(dict.fromkeys(each.reader for each in change.differences if each.reader != NOTHING))
    read, written = lineage.readers(change.stream), lineage.writers(change.stream)
    written += tuple(job for job in lineage.jobs if job.dead_letters == change.stream)
    readers = [Told(job.name, job.owner, (*asked, *_mending(job, misfits))) for job in read]
    readers += [Told(f"tools of {team}", team, asked) for team in change.consumers]
    writers = tuple(Told(job.name, job.owner, _mending(job, misfits)) for job in written)
    unfit = tuple(dict.fromkeys(job.name for job in (*read, *written) if job.name in misfits))
    return Notice(change, tuple(readers), writers, unfit)


def _mending(job: Job, misfits: Mapping[str, str]) -> tuple[str, ...]:
    return (f"be mended: {misfits[job.name]}",) if job.name in misfits else ()


def to_text(found: Sequence[Notice]) -> str:
    """The notices for people."""
    return "\n".join(line for notice in found for line in _lines(notice))


def to_json(found: Sequence[Notice]) -> list[dict[str, Any]]:
    """The notices as plain values."""
    return [
        {
            "stream": notice.change.stream,
            "owner": notice.change.owner,
            "compatible": notice.compatible,
            "differences": [asdict(each) for each in notice.change.differences],
            "readers": [asdict(told) for told in notice.readers],
            "writers": [asdict(told) for told in notice.writers],
        }
        for notice in found
    ]


def _lines(notice: Notice) -> Iterator[str]:
    verdict = "compatible" if notice.compatible else "NOT COMPATIBLE"
    yield f"{notice.change.stream} ({notice.change.owner}): {verdict}"
    yield from (f"  {each.what}" for each in notice.change.differences)
    for role, concerned, none in (
        ("read by", notice.readers, "nobody"),
        ("written by", notice.writers, "no job of this suite"),
    ):
        yield f"  {role}:" if concerned else f"  {role}: {none}"
        for told in concerned:
            yield f"    {told.name} ({told.team}) must {'; '.join(told.todo) or 'do nothing'}"
