"""Whether decoded rows keep their contract: one set of rules for all formats, over whole columns.

A format's reader brings rows into columns; here they get the contract's types, and every value that
breaks a rule is reported with its row. Rules, besides types: no null where the contract has none, no
empty string in a key, only known enum symbols, no time that a table can't hold, an event time from 0 to the latest
allowed one (SEMANTICS.md, "Bad input"). What keeps all that is held against the rules that the contract declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import Contract
from common.contracts.rules import Rule
from common.expressions.nodes import evaluate
from common.streams.columns import as_array, enum_texts, item_counts, ms_to_timestamps, relisted, timestamps_to_ms

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SHOWN = 80
"""How many characters of a bad value a reason shows."""
EARLIEST, LATEST = -210_866_803_200_000, (2**63 - 1) // 1_000
"""The times that every table can hold, in epoch ms: PostgreSQL begins with 24 November of the year -4713, tables
count in microseconds of 64 bits. Whatever else comes could be read, but would stop each run that writes it."""
_PER_MS = {"us": 1_000, "ns": 1_000_000}


@dataclass(frozen=True)
class Violation:
    """Rows that break one rule, and what to say of each."""

    rows: Ints
    reasons: Callable[[], Iterator[str]]


@dataclass(frozen=True)
class Conformed:
    """Rows in the contract's types.

    Attributes:
        table: All rows, the bad ones too, in the contract's Arrow schema.
        violations: The rules that were broken, in the order of the contract's fields.
    """

    table: pa.Table
    violations: tuple[Violation, ...]

    @property
    def bad(self) -> Bools:
        """Which rows break a rule."""
        bad = np.zeros(self.table.num_rows, dtype=np.bool_)
        for violation in self.violations:
            bad[violation.rows] = True
        return bad

    def reasons(self) -> dict[int, str]:
        """Why each bad row is bad: the first rule that it breaks; in row order."""
        reasons: dict[int, str] = {}
        for violation in self.violations:
            for row, reason in zip(violation.rows.tolist(), violation.reasons(), strict=True):
                reasons.setdefault(row, reason)
        return dict(sorted(reasons.items()))


def conform(rows: pa.Table, contract: Contract, latest_allowed: int) -> Conformed:
    """Brings rows into the contract's types and judges them.

    Args:
        rows: Columns `key` and `value`. Timestamps may be `int64` epoch ms or any timestamp, enums
            strings or dictionaries, bytes strings of ISO-8859-1 code points; struct fields may be in any
            order, nullable ones missing, unknown ones are left out.
        contract: What they are judged by.
        latest_allowed: The latest event time that is not too far ahead of the clock, in epoch ms.
    """
    judge = _Judge(contract, latest_allowed)
    everything = _Place("", lambda: np.arange(rows.num_rows, dtype=np.int64))
    columns = [
        judge.column(as_array(rows[wanted.name]), wanted, everything.below(wanted.name)) for wanted in contract.arrow
    ]
    table = pa.table(columns, schema=contract.arrow)
    declared = (_broken(rule, table) for rule in contract.rules)
    return Conformed(table, (*judge.violations, *(each for each in declared if each.rows.size)))


def _broken(rule: Rule, table: pa.Table) -> Violation:
    """The rows that break a rule of the contract."""
    rows = np.flatnonzero(rule.broken(table).to_numpy(zero_copy_only=False))

    def reasons() -> Iterator[str]:
        bad = table.take(pa.array(rows))
        columns = [_shown(_plain_times(evaluate(field, bad))) for field in rule.fields]
        for values in zip(*columns, strict=True):
            told = (f"{field.path} is {shown(value)}" for field, value in zip(rule.fields, values, strict=True))
            yield rule.told(" and ".join(told))

    return Violation(rows, reasons)


@dataclass(frozen=True)
class _Place:
    """Where an array belongs: the path of its field, the row of each element, and which have a parent."""

    path: str
    rows: Callable[[], Ints]
    live: Bools | None = None

    def below(self, name: str, parent: pa.Array | None = None) -> _Place:
        live = self.live
        if parent is not None and parent.null_count:
            valid = parent.is_valid().to_numpy(zero_copy_only=False)
            live = valid if live is None else valid & live
        return _Place(f"{self.path}.{name}" if self.path else name, self.rows, live)

    def repeated(self, counts: Ints) -> _Place:
        live = None if self.live is None else np.repeat(self.live, counts)
        return _Place(self.path, lambda: np.repeat(self.rows(), counts), live)


@dataclass
class _Judge:
    contract: Contract
    latest_allowed: int
    violations: list[Violation] = field(default_factory=list)

    def column(self, array: pa.Array, wanted: pa.Field, place: _Place) -> pa.Array:
        """The array in the wanted type; what breaks a rule is noted."""
        if pa.types.is_null(array.type):
            array = pa.nulls(len(array), wanted.type)
        if array.null_count and not wanted.nullable:
            why = f", but '{self.contract.stream}' has no tombstones" if place.path == "value" else ""
            self._note(array, array.is_null(), place, lambda _: f"{place.path} is null{why}")
        if pa.types.is_struct(wanted.type):
            return self._struct(array, wanted.type, place)
        if pa.types.is_list(wanted.type):
            return self._list(array, wanted.type, place)
        if pa.types.is_dictionary(wanted.type):
            return self._enum(array, wanted.type, place)
        if pa.types.is_timestamp(wanted.type):
            return self._timestamp(array, place)
        if pa.types.is_binary(wanted.type) and pa.types.is_string(array.type):
            return self._bytes(array, place)
        cast = array if array.type == wanted.type else array.cast(wanted.type)
        return self._string(cast, place) if pa.types.is_string(wanted.type) else cast

    def _struct(self, array: pa.Array, wanted: pa.StructType, place: _Place) -> pa.Array:
        children = []
        for child in wanted:
            index = array.type.get_field_index(child.name)
            found = array.field(index) if index >= 0 else pa.nulls(len(array), child.type)
            children.append(self.column(found, child, place.below(child.name, array)))
        mask = array.is_null() if array.null_count else None
        return pa.StructArray.from_arrays(children, fields=list(wanted), mask=mask)

    def _list(self, array: pa.Array, wanted: pa.ListType, place: _Place) -> pa.Array:
        items = self.column(array.flatten(), wanted.value_field, place.repeated(item_counts(array)))
        return relisted(array, items, wanted)

    def _enum(self, array: pa.Array, wanted: pa.DictionaryType, place: _Place) -> pa.Array:
        symbols = pa.array(symbols_at(self.contract, place.path), wanted.value_type)
        if pa.types.is_dictionary(array.type):
            known = pc.index_in(array.dictionary.cast(wanted.value_type), symbols).cast(wanted.index_type)
            codes = known.take(array.indices)
        else:
            codes = pc.index_in(array.cast(wanted.value_type), symbols).cast(wanted.index_type)
        if codes.null_count > array.null_count:
            unknown = pc.and_(codes.is_null(), array.is_valid())
            expected = ", ".join(symbols.to_pylist())
            self._note(array, unknown, place, lambda value: f"{place.path} is {shown(value)}, not one of {expected}")
        return pa.DictionaryArray.from_arrays(codes, symbols)

    def _timestamp(self, array: pa.Array, place: _Place) -> pa.Array:
        ms = _epoch_ms(array)
        first, last = (bound.as_py() for bound in pc.min_max(ms).values())
        if first is None:
            return ms_to_timestamps(ms)
        if first < EARLIEST or last > LATEST:
            outside = pc.or_(pc.less(ms, EARLIEST), pc.greater(ms, LATEST))
            why = "not between the years -4713 and 294246"
            self._note(ms, outside, place, lambda value: f"{place.path} is {value}, {why}")
        if place.path == f"value.{self.contract.meta.event_time}":
            if first < 0:
                self._note(ms, pc.less(ms, 0), place, lambda value: f"{place.path} is negative: {value}")
            if last > self.latest_allowed:
                ahead = pc.greater(ms, self.latest_allowed)
                why_ahead = "further ahead of the clock than max_future_skew"
                self._note(ms, ahead, place, lambda value: f"{place.path} is {value}, {why_ahead}")
        return ms_to_timestamps(ms)

    def _string(self, array: pa.Array, place: _Place) -> pa.Array:
        try:
            array.validate(full=True)
        except pa.ArrowInvalid:
            array = self._text_only(array, place)
        if place.path.partition(".")[0] == "key" and len(array) and pc.min(pc.binary_length(array)).as_py() == 0:
            self._note(array, pc.equal(array, ""), place, lambda _: f"{place.path} is empty")
        return array

    def _bytes(self, array: pa.Array, place: _Place) -> pa.Array:
        """Bytes from Avro's JSON form, in which each is the code point of its number."""
        texts = array.to_pylist()
        wide = pa.array([text is not None and max(text, default="") > "\xff" for text in texts], pa.bool_())
        self._note(array, wide, place, lambda value: f"{place.path} is {shown(value)}, not code points up to 255")
        return pa.array([None if text is None else text.encode("latin-1", "replace") for text in texts], pa.binary())

    def _text_only(self, array: pa.Array, place: _Place) -> pa.Array:
        """The array with null for what is not UTF-8, as nothing after this could read it."""
        raw = array.view(pa.binary())
        broken = pa.array([value is not None and not _is_text(value) for value in raw.to_pylist()])
        self._note(raw, broken, place, lambda value: f"{place.path} is not UTF-8: {shown(value)}")
        return pc.if_else(broken, pa.scalar(None, pa.binary()), raw).view(array.type)

    def _note(self, array: pa.Array, where: pa.Array, place: _Place, reason: Callable[[object], str]) -> None:
        mask = pc.fill_null(where, False).to_numpy(zero_copy_only=False)
        if place.live is not None:
            mask = mask & place.live
        found = np.flatnonzero(mask)
        if found.size:
            bad = array.take(pa.array(found))
            self.violations.append(Violation(place.rows()[found], lambda: (reason(value) for value in _shown(bad))))


def plain_type(wanted: pa.DataType, of_bytes: pa.DataType) -> pa.DataType:
    """A contract's type as a format's values come: what `conform` takes, all nullable.

    Args:
        wanted: The contract's type. Timestamps come as `int64` epoch ms, enums as strings.
        of_bytes: How bytes come: as `binary`, or as a `string` of code points.
    """
    if pa.types.is_struct(wanted):
        return pa.struct([pa.field(child.name, plain_type(child.type, of_bytes)) for child in wanted])
    if pa.types.is_list(wanted):
        return pa.list_(plain_type(wanted.value_type, of_bytes))
    if pa.types.is_timestamp(wanted):
        return pa.int64()
    if pa.types.is_dictionary(wanted):
        return pa.string()
    return of_bytes if pa.types.is_binary(wanted) else wanted


def shown(value: object) -> str:
    """A value as a reason shows it."""
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def symbols_at(contract: Contract, path: str) -> list[str]:
    """The symbols of the enum at a path such as `value.actions.action`, in the contract's order."""
    part, *names = path.split(".")
    return _symbols({"key": contract.key_schema, "value": contract.value_schema}[part], names)


def _symbols(schema: Any, names: list[str]) -> list[str]:
    if isinstance(schema, list):
        return _symbols(next(branch for branch in schema if branch != "null"), names)
    kind = schema["type"]
    if kind == "enum":
        return list(schema["symbols"])
    if kind == "array":
        return _symbols(schema["items"], names)
    if kind == "record":
        child = next(child for child in schema["fields"] if child["name"] == names[0])
        return _symbols(child["type"], names[1:])
    return _symbols(kind, names)


def _plain_times(array: pa.Array) -> pa.Array:
    return timestamps_to_ms(array) if pa.types.is_timestamp(array.type) else array


def _epoch_ms(array: pa.Array) -> pa.Array:
    """`int64` or any timestamp as `int64` epoch ms; parts of a ms are cut off towards the past."""
    if not pa.types.is_timestamp(array.type):
        return array.cast(pa.int64())
    unit, ticks = array.type.unit, array.view(pa.int64())
    if unit == "ms":
        return ticks
    count = pc.fill_null(ticks, 0).to_numpy()
    ms = count * 1_000 if unit == "s" else count // _PER_MS[unit]
    mask = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    return pa.array(ms, pa.int64(), mask=mask)


def _shown(array: pa.Array) -> list[Any]:
    """Values for a reason; a bad one may not even be UTF-8."""
    if pa.types.is_dictionary(array.type):
        array = enum_texts(array)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        raws = array.cast(pa.large_binary()).to_pylist()
        return [None if raw is None else raw.decode(errors="replace") for raw in raws]
    return list(array.to_pylist())


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
