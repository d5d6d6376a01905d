"""Typed expressions over records: frozen values that evaluate whole columns.

Every expression has a value for every record, and none can fail on one: what has no answer, such as
`integer("abc")`, is null. A comparison, a sum or a text function of a null is null; `and` and `or` know
what a null can't change (`False and null` is False); only `is None`, `coalesce` and the condition of an
`if` turn a null into something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.expressions.functions import COMPUTE
from common.streams.columns import TIMESTAMP, as_array

Value = Any
"""A `pa.Array`, or a `pa.Scalar` where all records have one value."""


class Kind(Enum):
    """What an expression gives; types that differ in width or encoding only are one kind."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    NOTHING = "None"
    OTHER = "other"

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type that expressions of this kind evaluate to; not for `OTHER`."""
        return _ARROW[self]


_ARROW = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.NUMBER: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.TIME: TIMESTAMP,
    Kind.NOTHING: pa.null(),
}


def kind_of(type_: pa.DataType) -> Kind:
    """The kind of a contract's type: enums are text, records, lists and bytes are `OTHER`."""
    if pa.types.is_string(type_) or pa.types.is_dictionary(type_):
        return Kind.TEXT
    if pa.types.is_integer(type_):
        return Kind.INTEGER
    if pa.types.is_floating(type_):
        return Kind.NUMBER
    if pa.types.is_boolean(type_):
        return Kind.BOOLEAN
    return Kind.TIME if pa.types.is_timestamp(type_) else Kind.OTHER


@dataclass(frozen=True)
class Field:
    """A field of the record.

    Attributes:
        names: Its path, such as `("value", "advertisementId")`.
        type: Its type in the contract.
        nullable: Whether the contract lets it be null, or anything that it is part of.
    """

    names: tuple[str, ...]
    type: pa.DataType
    nullable: bool = True

    @property
    def kind(self) -> Kind:
        return kind_of(self.type)

    @property
    def path(self) -> str:
        """Its path as contracts write it: `value.advertisementId`."""
        return ".".join(self.names)

    def evaluate(self, records: pa.Table) -> Value:
        column = as_array(records[self.names[0]])
        if len(self.names) > 1:
            column = pc.struct_field(column, list(self.names[1:]))
        if self.kind is Kind.OTHER or column.type == self.kind.arrow:
            return column
        return column.cast(self.kind.arrow)


@dataclass(frozen=True)
class Literal:
    """A value that stands in the text itself; times as epoch ms."""

    value: str | int | float | bool | None
    kind: Kind

    def evaluate(self, records: pa.Table) -> Value:
        return pa.scalar(self.value, self.kind.arrow)


@dataclass(frozen=True)
class Call:
    """An operator or function, by its name in `COMPUTE`, on its arguments."""

    function: str
    arguments: tuple[Expression, ...]
    kind: Kind

    def evaluate(self, records: pa.Table) -> Value:
        return COMPUTE[self.function](*(argument.evaluate(records) for argument in self.arguments))


Expression = Field | Literal | Call


def evaluate(expression: Expression, records: pa.Table) -> pa.Array:
    """The value of an expression for each record.

    Args:
        expression: What `parse` gave for the contract of these records.
        records: Records, with the columns `key` and `value`.
    """
    value = expression.evaluate(records)
    return pa.repeat(value, records.num_rows) if isinstance(value, pa.Scalar) else value


def is_true(expression: Expression, records: pa.Table) -> pa.Array:
    """For which records a predicate is true; it is not where it is null."""
    return pc.fill_null(evaluate(expression, records), False)
