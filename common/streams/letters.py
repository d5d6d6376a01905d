"""Dead letters as they are read back, corrected and judged again.

A letter is told by where its record stood: several jobs that read a stream each write one of it, and it is put back once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from common.contracts.contract import Contract, load, streams
from common.contracts.rules import rule_in
from common.contracts.tagging import fields
from common.errors import AdstreamError
from common.names import pick
from common.streams.jsonl import decode_lines

_VALUES = re.compile(r"'(?:[^'\\]|\\.)*'…?|\"(?:[^\"\\]|\\.)*\"…?|-?\d+(?:\.\d+)?")
"""What reasons show of records."""


class Identity(NamedTuple):
    """Where the record of a letter stood."""

    stream: str
    partition: str
    offset: int


@dataclass(frozen=True)
class Letter:
    """A dead letter.

    Attributes:
        identity: Where its record stood.
        records: How many records it stands for.
        raw: The record as it came.
        reason: What is wrong with it.
    """

    identity: Identity
    records: int
    raw: bytes
    reason: str

    @property
    def kind(self) -> str:
        """What it is counted under: the rule that it breaks, or the reason without the values in it."""
        rule = rule_in(self.reason)
        return _VALUES.sub("…", self.reason) if rule is None else f"rule '{rule}'"

    @property
    def record(self) -> dict[str, Any] | None:
        """The record as JSON has it: `key` and `value`; None if its bytes are something else.

        What nests so deep that it can be read, but not written again, is something else, too.
        """
        try:
            found = orjson.loads(self.raw)
            orjson.dumps(found)
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            return None
        return found if isinstance(found, dict) and found.keys() == {"key", "value"} else None


def letters_of(tables: Iterable[pa.Table]) -> list[Letter]:
    """The letters in records of `dead-letters`, each once, the first of those that tell of one record."""
    found: dict[Identity, Letter] = {}
    for table in tables:
        for row in table["value"].to_pylist():
            identity = Identity(row["stream"], row["partition"], row["offset"])
            found.setdefault(identity, Letter(identity, row["records"], row["raw"], row["reason"]))
    return list(found.values())


def exported(letter: Letter) -> bytes:
    """A letter as a line to be edited; `record` is what is put back."""
    line: dict[str, Any] = {**letter.identity._asdict(), "reason": letter.reason, "record": letter.record}
    if line["record"] is None:
        line["raw"] = letter.raw.decode("latin-1")
    return orjson.dumps(line)


def edited(lines: Iterable[bytes], known: Iterable[Letter], where: str) -> dict[Identity, Any]:
    """The records of edited lines, by letter.

    Args:
        lines: As `exported` gave them; only where a record stood, and `record`, are looked at.
        known: The letters that there are.
        where: Where the lines stand, for messages.

    Raises:
        AdstreamError: A line is not JSON, tells of no letter that there is, or of one that another line tells of.
    """
    there, records = {letter.identity for letter in known}, dict[Identity, Any]()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            given = orjson.loads(line)
            identity = Identity(*(given[name] for name in Identity._fields))
            record = given["record"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise AdstreamError(
                f"{where}, line {number}: it is no dead letter ({error})", "keep what 'dead-letters show --json' wrote"
            ) from None
        if identity not in there or identity in records:
            problem = "twice" if identity in records else "unknown"
            raise AdstreamError(
                f"{where}, line {number}: {problem}, {identity.partition} at offset {identity.offset}",
                "change only the record of each line that 'dead-letters show --json' wrote",
            )
        records[identity] = record
    return records


@dataclass(frozen=True)
class Assignment:
    """A value for a field of every record.

    Attributes:
        path: The names of the field, from `key` or `value` on.
        text: The value, as it was typed.
    """

    path: tuple[str, ...]
    text: str

    @classmethod
    def of(cls, typed: str) -> Assignment:
        """Reads `value.country=DE`.

        Raises:
            AdstreamError: It is not `FIELD=VALUE`.
        """
        path, equals, text = typed.partition("=")
        if not equals:
            raise AdstreamError(f"--set '{typed}' is not FIELD=VALUE", "write value.country=DE")
        return cls(tuple(path.split(".")), text)

    def check(self, contract: Contract) -> None:
        """Refuses a field that the stream does not have.

        Raises:
            AdstreamError: It does not.
        """
        pick("field", ".".join(self.path), fields(contract.arrow), f"--set, stream '{contract.stream}'")

    def apply(self, record: dict[str, Any], contract: Contract) -> dict[str, Any]:
        """The record with the value in its field; what has no such place stays as it is."""
        kind = _type_at(contract, self.path)
        plain = pa.types.is_string(kind) or pa.types.is_dictionary(kind)
        return dict(_with(record, self.path, self.text if plain and self.text != "null" else _parsed(self.text)))


@dataclass(frozen=True)
class Corrected:
    """What became of letters.

    Attributes:
        records: What can be put back, by stream.
        letters: The letters of these records.
        left: All others, each with the reason for which it stays.
    """

    records: Mapping[str, pa.Table] = field(default_factory=dict)
    letters: tuple[Letter, ...] = ()
    left: tuple[tuple[Letter, str], ...] = ()


def corrected(
    letters: Sequence[Letter], edits: Mapping[Identity, Any], assignments: Sequence[Assignment], latest_allowed: int
) -> Corrected:
    """Corrects letters, and holds what comes out against the contract and rules of its stream.

    Args:
        letters: The letters.
        edits: Records in the place of those that the letters hold.
        assignments: Values for fields of every record.
        latest_allowed: The latest event time that is not too far ahead of the clock, in epoch ms.

    Raises:
        AdstreamError: A stream lacks a field that is assigned.
    """
    records, good, left = dict[str, pa.Table](), list[Letter](), list[tuple[Letter, str]]()
    for stream in dict.fromkeys(letter.identity.stream for letter in letters):
        of_stream = [letter for letter in letters if letter.identity.stream == stream]
        if stream not in streams():
            left += [(letter, f"there is no stream '{stream}'") for letter in of_stream]
            continue
        contract = load(stream)
        for assignment in assignments:
            assignment.check(contract)
        lines, tried = list[bytes](), list[Letter]()
        for letter in of_stream:
            record = edits.get(letter.identity, letter.record)
            if letter.records == 1 and isinstance(record, dict):
                for assignment in assignments:
                    record = assignment.apply(record, contract)
                lines.append(orjson.dumps(record) + b"\n")
                tried.append(letter)
            else:
                left.append((letter, _unreadable(letter)))
        found, bad = decode_lines(b"".join(lines), contract, latest_allowed)
        reasons = {line: reason for line, _, reason in bad}
        left += [(tried[line], reason) for line, reason in reasons.items()]
        good += [letter for line, letter in enumerate(tried) if line not in reasons]
        if found.num_rows:
            records[stream] = found
    return Corrected(records, tuple(good), tuple(left))


def _unreadable(letter: Letter) -> str:
    if letter.records > 1:
        return f"it stands for {letter.records} records: send them again from where they came"
    return "its bytes are no JSON of key and value: give its record with --edited"


def _with(value: Any, path: tuple[str, ...], new: Any) -> Any:
    if not path:
        return new
    if not isinstance(value, dict):
        return value
    return {**value, path[0]: _with(value.get(path[0]), path[1:], new)}


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _type_at(contract: Contract, path: tuple[str, ...]) -> pa.DataType:
    kind = contract.arrow.field(path[0]).type
    for name in path[1:]:
        kind = (kind.value_type if pa.types.is_list(kind) else kind).field(name).type
    return kind


def counted(letters: Iterable[Letter]) -> Iterator[tuple[str, str, int, tuple[Letter, ...]]]:
    """Letters by stream and kind, the most frequent first: stream, kind, how many records, and the letters."""
    groups: dict[tuple[str, str], list[Letter]] = {}
    for letter in letters:
        groups.setdefault((letter.identity.stream, letter.kind), []).append(letter)
    sizes = {key: sum(letter.records for letter in group) for key, group in groups.items()}
    for stream, kind in sorted(groups, key=lambda key: (key[0], -sizes[key], key[1])):
        yield stream, kind, sizes[stream, kind], tuple(groups[stream, kind])
