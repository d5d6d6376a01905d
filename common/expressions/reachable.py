"""Which predicates of a list, of which the first true one counts, can never be the one.

A comparison of a field with a value is decided by where the field's value lies among the values it is compared
with. So a handful of values a field, one from each place in between, stand for all there are, and the
predicates themselves are evaluated on every combination. Whatever else is true or false (functions, fields
compared with each other) is taken to be anything, independent of all else: so a predicate that is
reported really can't be true; one that is not may still turn out never to be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from common.expressions.nodes import Call, Expression, Field, Kind, Literal, is_true

COMBINATIONS = 50_000
"""How many are tried; predicates over more are taken to be reachable."""
_SIGNS = ("==", "!=", "<", "<=", ">", ">=", "in")

Symbols = Callable[[Field], Sequence[str] | None]
"""The only values of a field, if it is an enum."""


def contradicts(predicate: Expression, symbols: Symbols) -> bool:
    """Whether a predicate is never true, whatever else there is."""
    return is_covered(predicate, [], symbols)


def is_covered(predicate: Expression, earlier: Sequence[Expression], symbols: Symbols) -> bool:
    """Whether each record for which a predicate is true is one for which an earlier one is true."""
    space = _Space(symbols)
    mine, others = space.atoms(predicate), [space.atoms(other) for other in earlier]
    records = space.records([mine, *others])
    if records is None:  # too many: only those that ask about nothing else can be judged
        others = [other for other in others if set(_fields(other)) <= set(_fields(mine))]
        records = space.records([mine, *others])
    if records is None:
        return False
    left = is_true(mine, records)
    for other in others:
        left = pc.and_not(left, is_true(other, records))
    return not pc.any(left).as_py()


@dataclass
class _Space:
    """Columns of their own for what predicates ask about, and the values to try in them."""

    symbols: Symbols
    columns: dict[Expression, Field] = field(default_factory=dict)
    asked: dict[Field, Expression] = field(default_factory=dict)
    values: dict[Field, set[str | int | float]] = field(default_factory=dict)

    def atoms(self, predicate: Expression) -> Expression:
        """The predicate over these columns: one a field, and one for each part that fields and values don't decide."""
        match predicate:
            case Literal():
                return predicate
            case Call(_, parts) if _all_literal(parts):
                return predicate
            case Call("and" | "or" | "not" as word, parts, kind):
                return Call(word, tuple(self.atoms(part) for part in parts), kind)
            case Call("is None", (Field() as tested,), kind):
                return Call("is None", (self.column(tested),), kind)
            case Call(sign, (Field() as tested, *others), kind) if sign in _SIGNS and _all_literal(others):
                return Call(sign, (self.column(tested, *others), *others), kind)
            case Call(sign, (Literal() as value, Field() as tested), kind) if sign in _SIGNS:
                return Call(sign, (value, self.column(tested, value)), kind)
        return self.column(predicate)

    def column(self, asked: Expression, *values: Expression) -> Field:
        """The column of a field or of an undecided part; `values` are those it is compared with."""
        if asked not in self.columns:
            type_ = pa.bool_() if asked.kind is Kind.OTHER else asked.kind.arrow
            nullable = not isinstance(asked, Field) or asked.nullable
            self.columns[asked] = Field((str(len(self.columns)),), type_, nullable)
        column = self.columns[asked]
        self.asked[column] = asked
        compared = self.values.setdefault(column, set())
        compared.update(v.value for v in values if isinstance(v, Literal) and v.value is not None)
        return column

    def records(self, predicates: Sequence[Expression]) -> pa.Table | None:
        """A record for each combination of the values that these ask about; None for too many."""
        columns = list(dict.fromkeys(column for predicate in predicates for column in _fields(predicate)))
        tried = [self.tried(column) for column in columns]
        sizes = [len(values) for values in tried]
        rows = math.prod(sizes)
        if rows > COMBINATIONS:
            return None
        places = np.unravel_index(np.arange(rows), sizes) if sizes else ()
        taken = [values.take(pa.array(place)) for values, place in zip(tried, places, strict=True)]
        always = pa.nulls(rows)  # so that there is a record where nothing is asked
        return pa.table([*taken, always], names=[*(column.path for column in columns), "always"])

    def tried(self, column: Field) -> pa.Array:
        """The values to try in a column."""
        asked = self.asked[column]
        symbols = self.symbols(asked) if isinstance(asked, Field) else None
        found = symbols if symbols is not None else list(dict.fromkeys(_around(column.kind, self.values[column])))
        return pa.array([*found, *([None] if column.nullable else [])], column.type)


def _around(kind: Kind, values: set[str | int | float]) -> Iterator[str | int | float]:
    """The values, and one from each place before, between and after them."""
    match kind:
        case Kind.BOOLEAN:
            yield from (True, False)
        case Kind.TEXT:
            yield from ("", *values, *(f"{value}\0" for value in values))
        case Kind.NUMBER:
            numbers = [float(value) for value in values]
            yield from (0.0, math.nan, *numbers)
            yield from (float(np.nextafter(number, end)) for number in numbers for end in (-np.inf, np.inf))
        case _:
            whole = (math.floor(value) for value in values if not isinstance(value, str))
            near = (0, *(value + step for value in whole for step in (-1, 0, 1)))
            yield from (min(max(value, -(2**63)), 2**63 - 1) for value in near)


def _fields(expression: Expression) -> Iterator[Field]:
    if isinstance(expression, Field):
        yield expression
    elif isinstance(expression, Call):
        for argument in expression.arguments:
            yield from _fields(argument)


def _all_literal(arguments: Sequence[Expression]) -> bool:
    return all(isinstance(argument, Literal) for argument in arguments)
