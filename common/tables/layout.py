"""What the rows of a table look like that holds a stream's records: plain columns, for SQL and for people.

| of a record | in the table |
|---|---|
| a plain key | the column `key` |
| a key that is a record | a column a leaf: `window_start`, `window_end`, `userId` |
| a field of the value | a column of its name; `value_NAME` where the key has that name |
| the column that it is partitioned by, if that is a time | one more column, `NAME_date`: its day in UTC |

All columns can be null: of rows that were there before a column was, it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.names import nearest
from common.streams.columns import as_array

DELETED = "_deleted"
"""The column beside those of the table that marks the rows of tombstones; no field of a contract begins so."""
DATE = "_date"
"""What ends the name of a column with the day of a time."""
_PARTITIONED = (pa.types.is_timestamp, pa.types.is_string, pa.types.is_integer, pa.types.is_boolean)


@dataclass(frozen=True)
class Layout:
    """How the records of a stream lie in a table.

    Attributes:
        contract: The contract of the stream.
        partition: The column that the table is partitioned by, by its day if it is a time; empty for none.
    """

    contract: Contract
    partition: str = ""

    @property
    def upserts(self) -> bool:
        """Whether a row replaces the one before of its key, and a tombstone removes it; else rows are only added."""
        return self.contract.meta.tombstones

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The columns that make the key."""
        return tuple(name for name, _ in _leaves(self.contract.arrow.field("key"), ""))

    @cached_property
    def columns(self) -> pa.Schema:
        """The columns of the table: those of the key, those of the value, the day that it is partitioned by."""
        fields = [pa.field(name, plain(kind)) for name, kind in _leaves(self.contract.arrow.field("key"), "")]
        value = self.contract.arrow.field("value").type
        fields += [pa.field(self._name(child.name), plain(child.type)) for child in value]
        if self._dated:
            fields.append(pa.field(self.partition + DATE, pa.date32()))
        return pa.schema(fields)

    @property
    def partitioned_by(self) -> str | None:
        """The column that tells the partitions of the table."""
        return self.partition + DATE if self._dated else self.partition or None

    def check(self) -> None:
        """Checks what was said of the table.

        Raises:
            AdstreamError: There is no such column, or it can't tell partitions.
        """
        names = self.columns.names
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise AdstreamError(
                f"table of '{self.contract.stream}': two columns are called '{twice}'", "partition by another column"
            )
        if not self.partition:
            return
        where = f"table of '{self.contract.stream}', partition"
        if self.partition not in names:
            raise AdstreamError(f"{where}: it has no column '{self.partition}'", nearest(self.partition, names))
        kind = self.columns.field(self.partition).type
        if not any(fits(kind) for fits in _PARTITIONED):
            raise AdstreamError(
                f"{where}: '{self.partition}' is {kind}", "partition by a time, a text, an integer or a truth value"
            )

    def rows(self, records: pa.Table) -> pa.Table:
        """Records as rows of the table.

        Args:
            records: `key` and `value` as the contract has them, or as a Parquet file gives them back.

        Returns:
            Rows in `columns`; where the stream has tombstones, with the column `DELETED`.
        """
        key, value = as_array(records["key"]), as_array(records["value"])
        arrays = list(_parts(key)) + [pc.struct_field(value, [i]) for i in range(value.type.num_fields)]
        columns = self.columns
        found = [array.cast(field.type) for array, field in zip(arrays, columns, strict=False)]
        if self._dated:
            found.append(found[columns.get_field_index(self.partition)].cast(pa.date32()))
        rows = pa.Table.from_arrays(found, schema=columns)
        return rows.append_column(DELETED, value.is_null()) if self.upserts else rows

    @property
    def _dated(self) -> bool:
        """Whether the partitions are days."""
        key = dict(_leaves(self.contract.arrow.field("key"), ""))
        value = {self._name(child.name): child.type for child in self.contract.arrow.field("value").type}
        kind = {**value, **key}.get(self.partition)
        return kind is not None and bool(pa.types.is_timestamp(kind))

    def _name(self, field: str) -> str:
        return f"value_{field}" if field in self.keys else field


def sql_name(stream: str) -> str:
    """What the table of a stream is called where names stand in SQL."""
    return stream.replace("-", "_")


def plain(kind: pa.DataType) -> pa.DataType:
    """A contract's type in those that tables have: enums are strings, times have microseconds; all may be null."""
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(child.name, plain(child.type)) for child in kind])
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", plain(kind.value_type)))
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC")
    return kind


def _leaves(field: pa.Field, prefix: str) -> Iterator[tuple[str, pa.DataType]]:
    """The leaves of a key, each with its column's name."""
    if not pa.types.is_struct(field.type):
        yield prefix or field.name, field.type
        return
    for child in field.type:
        yield from _leaves(child, f"{prefix}_{child.name}" if prefix else child.name)


def _parts(key: pa.Array) -> Iterator[pa.Array]:
    if not pa.types.is_struct(key.type):
        yield key
        return
    for number in range(key.type.num_fields):
        yield from _parts(pc.struct_field(key, [number]))
