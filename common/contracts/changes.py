"""What changed between two states of the contracts, and what each change asks of those who read a stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from common.config.job import format_duration
from common.contracts.compatibility import check_stream
from common.contracts.contract import Contract, StreamMeta, load_from, streams, versions

if TYPE_CHECKING:
    from importlib.abc import Traversable

Breaks = Literal["nobody", "readers", "rules"]
"""Whom a change breaks: nobody; readers, if there are any, that do not act; the rules of compatibility, whoever reads."""
NOTHING = "nothing"
_SEEN = "look whether it matters"
_LETTERS = "know that records which break a rule come no more: they are dead letters"
_MEND = "not be deployed with this contract before it is mended"


@dataclass(frozen=True)
class Difference:
    """One thing that changed.

    Attributes:
        what: What is different.
        reader: What a reader must do about it.
        breaks: Whom it breaks.
    """

    what: str
    reader: str = NOTHING
    breaks: Breaks = "nobody"


@dataclass(frozen=True)
class Change:
    """What changed of a stream.

    Attributes:
        stream: The stream.
        owner: The team that answers for it.
        consumers: The teams that read it with tools of their own, before or after the change.
        differences: What changed, at least one thing.
    """

    stream: str
    owner: str
    consumers: tuple[str, ...]
    differences: tuple[Difference, ...]


def changes(before: Traversable, after: Traversable) -> tuple[Change, ...]:
    """The streams whose contract is another one, sorted.

    Args:
        before: A folder of contracts.
        after: The same folder later.

    Raises:
        AdstreamError: A file of one of them is not well formed.
    """
    old, new = streams(before), streams(after)
    found = (_change(stream, before, after) for stream in sorted({*old, *new}) if stream in old and stream in new)
    added = (_added(load_from(after, stream)) for stream in new if stream not in old)
    removed = (_removed(load_from(before, stream)) for stream in old if stream not in new)
    every = (*(change for change in found if change.differences), *added, *removed)
    return tuple(sorted(every, key=lambda change: change.stream))


def _added(contract: Contract) -> Change:
    return Change(contract.stream, contract.meta.owner, contract.meta.consumers, (Difference("the stream is new"),))


def _removed(contract: Contract) -> Change:
    meta = contract.meta
    gone = Difference("the stream is gone", "read another stream", "readers")
    return Change(contract.stream, meta.owner, meta.consumers, (gone,))


def _change(stream: str, before: Traversable, after: Traversable) -> Change:
    old, new = load_from(before, stream), load_from(after, stream)
    differences = (*_schemas(stream, before, after), *_metas(old.meta, new.meta), *_lists(old, new))
    consumers = tuple(dict.fromkeys((*old.meta.consumers, *new.meta.consumers)))
    return Change(stream, new.meta.owner, consumers, differences)


def _schemas(stream: str, before: Traversable, after: Traversable) -> Iterator[Difference]:
    """New versions, and problems of any."""
    old, new = load_from(before, stream), load_from(after, stream)
    level = new.meta.compatibility
    for version in versions(stream, after):
        if version not in versions(stream, before):
            fields = "; ".join(_fields(load_from(after, stream, version - 1), load_from(after, stream, version)))
            yield Difference(f"version {version} is new: {fields or 'the same fields'}", _upgrade(level, version))
    for name, digest in old.meta.published.items():
        if name in new.meta.published and new.meta.published[name] != digest:
            what = f"{stream}: {name}.avsc was in use, and is another one now: make the change in a new version"
            yield Difference(what, _MEND, "rules")
        elif name not in new.meta.published:
            what = f"{stream}: {name}.avsc was in use, and is no longer entered: bring it back, every version stays"
            yield Difference(what, _MEND, "rules")
    known = set(check_stream(stream, before))
    yield from (Difference(problem, _MEND, "rules") for problem in check_stream(stream, after) if problem not in known)


def _upgrade(level: str, version: int) -> str:
    """What a compatibility level asks of readers of a new version."""
    if level.startswith("full"):
        return NOTHING  # every version can be read with the contract of any other
    if level.startswith("backward"):
        return f"be deployed with this contract before any writer is: older readers can't be sure of version {version}"
    return f"be deployed with this contract after all writers are, and once no record before version {version} is left"


def _fields(old: Contract, new: Contract) -> Iterator[str]:
    """The fields that differ between two versions."""
    before, after = dict(_paths(old.arrow)), dict(_paths(new.arrow))
    for path in (*before, *(path for path in after if path not in before)):
        if path not in after:
            yield f"{path} is gone"
        elif path not in before:
            yield f"{path} was added ({after[path]})"
        elif before[path] != after[path]:
            yield f"{path} is {after[path]}, it was {before[path]}"


def _paths(schema: pa.Schema) -> Iterator[tuple[str, str]]:
    """Every field that holds no others, with its type."""
    waiting = [(field.name, field) for field in reversed(list(schema))]
    while waiting:
        path, field = waiting.pop()
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        if pa.types.is_struct(kind):
            waiting += [(f"{path}.{child.name}", child) for child in reversed(list(kind))]
        else:
            yield path, f"{kind}{', may be null' if field.nullable else ''}"


def _metas(old: StreamMeta, new: StreamMeta) -> Iterator[Difference]:
    """What `stream.yaml` says otherwise; `published` belongs to the schemas."""
    before, after, asked = old.model_dump(), new.model_dump(), consequences(old, new)
    for name in StreamMeta.model_fields:
        if name != "published" and before[name] != after[name]:
            what = f"{name}: {_shown(name, before[name])} → {_shown(name, after[name])}"
            yield Difference(what, *asked[name])


def _lists(old: Contract, new: Contract) -> Iterator[Difference]:
    """The files of values that rules name; one that is new or gone comes with another rule."""
    before, after = dict(old.tables), dict(new.tables)
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield Difference(f"{name}: its values are others", _LETTERS)


def consequences(old: StreamMeta, new: StreamMeta) -> Mapping[str, tuple[str, Breaks]]:
    """For each field of `stream.yaml`, what readers must do about another value, and whom it breaks."""
    return {
        "owner": (f"ask {new.owner} from now on", "nobody"),
        "namespace": (_SEEN, "nobody"),
        "kind": ("expect tombstones" if new.tombstones else "expect no more tombstones", "readers"),
        "event_time": ("expect other watermarks: events are judged late by another time", "readers"),
        "encoding": ("decode records anew", "readers"),
        "tags": ("treat the fields as their tags ask for", "nobody"),
        "consumers": (NOTHING, "nobody"),
        "partitions": ("begin anew (adstream reset): keys lie in other partitions", "readers"),
        "compaction": ("expect only the last record of each key" if new.compaction else NOTHING, "nobody"),
        "compatibility": (f"know that a new version keeps '{new.compatibility}' only", "nobody"),
        "rules": (_LETTERS, "nobody"),
        "deprecated": (f"move away: {new.deprecated}" if new.deprecated else NOTHING, "nobody"),
        "retention": (_kept(old.retention, new.retention), "nobody"),
    }


def _kept(before: int | None, after: int | None) -> str:
    if after is None or (before is not None and after >= before):
        return NOTHING
    return f"never be further behind than {format_duration(after)}"


def _shown(name: str, value: object) -> str:
    if name == "retention":
        return "for ever" if value is None else format_duration(int(str(value)))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_listed(items)}" for key, items in value.items() if items) or "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)


def _listed(items: object) -> str:
    """What stands below a name: an expression, or several values."""
    if isinstance(items, dict):
        return " ".join(f"{key} {item}" for key, item in items.items())
    return " ".join(map(str, items)) if isinstance(items, tuple) else str(items)
