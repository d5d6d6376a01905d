"""Rules of a stream: what its records must keep beside their schema, declared in `stream.yaml`.

    rules:
      credit-limit-is-sane: 0 <= value.creditLimit <= 100000000
      country-is-a-code: matches(value.country, "[A-Z]{2}")
      country-is-known: {field: value.country, listed: countries.csv}

A rule is a predicate (`common/expressions`), or the field whose values a table must list: a CSV file beside
`stream.yaml`, with the values in its first column. As with SQL's CHECK, a record breaks a rule where it is false; where it
is null, as of a tombstone or a field without a value, the record keeps it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pydantic import BaseModel, ConfigDict, Field

from common.errors import AdstreamError
from common.expressions import nodes
from common.expressions.nodes import Call, Expression, Kind
from common.expressions.parse import parse, parse_predicate

NAME = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
_TOLD = re.compile(f", which breaks the rule '({NAME})' ")


class Listed(BaseModel):
    """A field whose values a table must list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(min_length=1, description="the field, such as value.country")
    listed: str = Field(
        pattern=r"^[^/\\]+\.csv$", description="a file beside stream.yaml, with the values in its first column"
    )


Declared = Annotated[str, Field(min_length=1)] | Listed
"""A rule as `stream.yaml` has it: a predicate, or a field and its table."""


@dataclass(frozen=True)
class Rule:
    """A rule, ready to be applied to whole columns.

    Attributes:
        name: Its name.
        text: What it demands, for people.
        kept: A predicate; a record breaks the rule where it is false.
        fields: The fields that it looks at.
        listed: The values that the only field may have, in its type; None if `kept` says it all.
    """

    name: str
    text: str
    kept: Expression
    fields: tuple[nodes.Field, ...]
    listed: pa.Array | None = None

    def broken(self, records: pa.Table) -> pa.Array:
        """Which records break it.

        Args:
            records: Records in the types of the contract.
        """
        value = nodes.evaluate(self.kept, records)
        if self.listed is None:
            return pc.fill_null(pc.invert(value), fill_value=False)
        return pc.and_(value.is_valid(), pc.invert(pc.is_in(value, value_set=self.listed)))

    def told(self, values: str) -> str:
        """The reason of a dead letter; `values` tells what the record has."""
        return f"{values}, which breaks the rule '{self.name}' ({self.text})"


def rule_in(reason: str) -> str | None:
    """The name of the rule that the reason of a dead letter tells of; None if it tells of none."""
    found = _TOLD.search(reason)
    return found[1] if found else None


def compiled(
    declared: Mapping[str, Declared], tables: Mapping[str, bytes], schema: pa.Schema, stream: str
) -> tuple[Rule, ...]:
    """The rules of a stream, with every mistake in them found.

    Args:
        declared: The rules by name, as `stream.yaml` has them.
        tables: The content of the files that they name.
        schema: What records look like: the Arrow schema of the contract.
        stream: The stream, for messages.

    Raises:
        AdstreamError: A name, predicate, field or table is wrong.
    """
    return tuple(_rule(name, rule, tables, schema, stream) for name, rule in declared.items())


def _rule(name: str, declared: Declared, tables: Mapping[str, bytes], schema: pa.Schema, stream: str) -> Rule:
    place = f"{stream}/stream.yaml: rule '{name}'"
    if not re.fullmatch(NAME, name):
        raise AdstreamError(f"{place}: it is no name", "write small letters, digits and hyphens, such as price-is-sane")
    if isinstance(declared, Listed):
        field = parse(declared.field, schema, place)
        if not isinstance(field, nodes.Field) or field.kind not in (Kind.TEXT, Kind.INTEGER):
            raise AdstreamError(
                f"{place}: '{declared.field}' is no field of text or integers", "name one of the stream's"
            )
        values = _values(declared.listed, tables[declared.listed], field, place)
        return Rule(name, f"not listed in {declared.listed}", field, (field,), values)
    predicate = parse_predicate(declared, schema, place)
    fields = tuple(dict.fromkeys(_fields(predicate)))
    if not fields:
        raise AdstreamError(
            f"{place}: it looks at no field", "write a predicate of the record, such as value.price > 0"
        )
    return Rule(name, declared, predicate, fields)


def _values(file: str, content: bytes, field: nodes.Field, place: str) -> pa.Array:
    kind = field.kind.arrow
    try:
        first = pyarrow.csv.open_csv(io.BytesIO(content)).schema.names[0]
        # Nothing is null: "NA" is a country.
        options = pyarrow.csv.ConvertOptions(
            column_types={first: kind}, include_columns=[first], strings_can_be_null=False, null_values=[]
        )
        values = pyarrow.csv.read_csv(io.BytesIO(content), convert_options=options)[first].combine_chunks()
    except pa.ArrowInvalid as error:
        why = " ".join(str(error).split())
        raise AdstreamError(
            f"{place}: '{file}' has no column of {field.kind.value}s ({why})", "give it a line of names, then values"
        ) from None
    if not len(values):
        raise AdstreamError(f"{place}: '{file}' lists nothing", "give it a line of names, then values")
    return values


def _fields(expression: Expression) -> Iterator[nodes.Field]:
    if isinstance(expression, nodes.Field):
        yield expression
    elif isinstance(expression, Call):
        for argument in expression.arguments:
            yield from _fields(argument)
