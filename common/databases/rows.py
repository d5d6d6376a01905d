"""Rows of a database as records of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import Contract
from common.databases.liberation import All, ById, ByTime, Liberation
from common.databases.progress import Row
from common.errors import AdstreamError
from common.streams.columns import as_array
from common.streams.conform import plain_type
from common.streams.decoded import Decoded
from common.streams.folder import Split
from common.streams.parquet import judged_rows

_PER_MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1}

SET_BACK = 3_600_000
"""How far local time goes back where daylight saving ends, in ms."""


@dataclass(frozen=True)
class Rows:
    """Rows of a database on their way into a stream.

    Attributes:
        liberation: What is freed.
        contract: The contract of the stream.
    """

    liberation: Liberation
    contract: Contract

    def check(self, schema: pa.Schema) -> None:
        """Whether the columns of the database can hold what the contract's fields do.

        Args:
            schema: The columns, as the database has them now.

        Raises:
            AdstreamError: The type of a column is not, or is no longer, one that fits its field.
        """
        for path, column, wanted in self._fields():
            if not _fits(schema.field(column).type, wanted):
                raise AdstreamError(
                    f"{self.liberation.place}: column '{column}' is {_named(schema.field(column))}, "
                    f"which does not fit '{path}' of stream '{self.contract.stream}' ({_shown(wanted)})",
                    "cast it in a query, or give the contract a new version",
                )
        if not isinstance(self.liberation.read, All):
            self._check_growing(self.liberation.read, schema.field(self.liberation.read.column))

    def _check_growing(self, read: ByTime | ById, found: pa.Field) -> None:
        """Refuses a column that does not grow: one of another type, or a time of a clock that may be set back."""
        if not (pa.types.is_timestamp(found.type) if read.by == "time" else pa.types.is_integer(found.type)):
            wanted = "a timestamp" if read.by == "time" else "an integer"
            raise AdstreamError(
                f"{self.liberation.place}: read by {read.by}, but column '{read.column}' is {_named(found)}, not {wanted}",
                "name another column, or read by: all",
            )
        if read.by == "time" and found.type.tz is None and read.lag < SET_BACK:
            raise AdstreamError(
                f"{self.liberation.place}: column '{read.column}' has no time zone, and local time goes back by an hour",
                "make it timestamptz, or write lag: 1h",
            )

    def records(self, rows: pa.Table, page: str, latest_allowed: int) -> Decoded:
        """Records of the rows that keep the contract, tombstones for those that were deleted.

        Args:
            rows: Rows with the liberation's columns.
            page: The page they stand on, one of a kind in all steps: it tells dead letters apart.
            latest_allowed: As `conform` takes it.

        Returns:
            The records, and a dead letter for every other row: its key and value, and its place on the page.
        """
        value = self._struct(rows, self.liberation.value, self.contract.arrow.field("value").type, self._deleted(rows))
        given = pa.table({"key": self._key(rows), "value": value})
        place = Split(self.contract.stream, f"{self.liberation.table or 'query'}.{page}")
        return judged_rows(given, place, self.contract, latest_allowed, 0)

    def greatest(self, rows: pa.Table) -> int | None:
        """The greatest value of the column that grows, in epoch microseconds or as an id; None for none."""
        if isinstance(self.liberation.read, All):
            return None
        last = pc.max(rows[self.liberation.read.column])
        if pa.types.is_timestamp(last.type) and last.is_valid:
            return int(last.value * _PER_MICROSECOND[last.type.unit])
        return last.as_py()

    def places(self, rows: pa.Table) -> list[Row]:
        """The order columns of rows, as text that the database reads back to the same values."""
        columns = (map(_text, rows[name].to_pylist()) for name in self.liberation.order)
        return list(zip(*columns, strict=True))

    def _fields(self) -> list[tuple[str, str, pa.DataType]]:
        """Every field that a column gives: its path, the column, its type."""
        key = self.contract.arrow.field("key").type
        value = self.contract.arrow.field("value").type
        of_key = (
            [("key", self.liberation.key, key)]
            if isinstance(self.liberation.key, str)
            else [(f"key.{name}", column, key.field(name).type) for name, column in self.liberation.key.items()]
        )
        of_value = [(f"value.{name}", column, value.field(name).type) for name, column in self.liberation.value.items()]
        return [*of_key, *of_value]

    def _key(self, rows: pa.Table) -> pa.Array:
        if isinstance(self.liberation.key, str):
            return as_array(rows[self.liberation.key])
        return self._struct(rows, self.liberation.key, self.contract.arrow.field("key").type, None)

    def _struct(
        self, rows: pa.Table, mapping: Mapping[str, str], kind: pa.StructType, mask: pa.Array | None
    ) -> pa.StructArray:
        names = [field.name for field in kind if field.name in mapping]
        return pa.StructArray.from_arrays([as_array(rows[mapping[name]]) for name in names], names=names, mask=mask)

    def _deleted(self, rows: pa.Table) -> pa.Array | None:
        if not self.liberation.deleted:
            return None
        mark = as_array(rows[self.liberation.deleted])
        return pc.fill_null(mark, False) if pa.types.is_boolean(mark.type) else mark.is_valid()


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether every value of a column's type is one of a field's type."""
    plain = plain_type(wanted, pa.binary())
    if pa.types.is_timestamp(wanted):
        return bool(pa.types.is_timestamp(found))
    if pa.types.is_integer(plain) or pa.types.is_floating(plain):
        same = pa.types.is_integer if pa.types.is_integer(plain) else pa.types.is_floating
        return bool(same(found)) and found.bit_width <= plain.bit_width
    if pa.types.is_list(plain):
        return bool(pa.types.is_list(found)) and _fits(found.value_type, wanted.value_type)
    return bool(found == plain)


def _named(column: pa.Field) -> str:
    """The type of a column, as the database calls it."""
    name = (column.metadata or {}).get(b"POSTGRESQL:type")
    return name.decode() if name else str(column.type)


def _shown(wanted: pa.DataType) -> str:
    return "an enum" if pa.types.is_dictionary(wanted) else str(wanted)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)
