"""Expressions against functions that say the same of one record, and everything that is refused."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import load
from common.errors import AdstreamError
from common.expressions.nodes import Kind, evaluate, is_true
from common.expressions.parse import LONGEST, parse, parse_predicate

SCHEMA = load("ad-firehose").arrow
Value = Any
Pair = tuple[str, Callable[[dict[str, Value]], Value]]
"""An expression's text, and what it gives for the value of one record."""


def field(name: str) -> st.SearchStrategy[Pair]:
    return st.just((f"value.{name}", lambda row: row[name]))


def literal(values: st.SearchStrategy[Value]) -> st.SearchStrategy[Pair]:
    return values.map(lambda value: (repr(value), lambda _: value))


def strict(function: Callable[..., Value], form: str, *parts: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """A call that is null as soon as an argument is."""

    def made(pairs: tuple[Pair, ...]) -> Pair:
        def value(row: dict[str, Value]) -> Value:
            given = [of(row) for _, of in pairs]
            return None if None in given else function(*given)

        return form.format(*(text for text, _ in pairs)), value

    return st.tuples(*parts).map(made)


def lazy(function: Callable[..., Value], form: str, *parts: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    """A call that sees nulls."""
    return st.tuples(*parts).map(
        lambda pairs: (form.format(*(t for t, _ in pairs)), lambda row: function(*(of(row) for _, of in pairs)))
    )


def kleene_and(left: Value, right: Value) -> Value:
    return False if left is False or right is False else None if None in (left, right) else True


def kleene_or(left: Value, right: Value) -> Value:
    return True if left is True or right is True else None if None in (left, right) else False


def bounded(value: Value) -> Value:
    return value if abs(value) <= 2**62 else None


def to_integer(text: str) -> Value:
    digits = text.strip()
    unsigned = digits[1:] if digits[:1] in ("+", "-") else digits
    return int(digits) if unsigned.isascii() and unsigned.isdigit() and len(unsigned) <= 18 else None


texts: st.SearchStrategy[Pair] = st.deferred(
    lambda: st.one_of(
        field("type"),
        field("page"),
        literal(st.sampled_from(["", "a", "Straße", "-17", "a\nb"])),
        strict(lambda a, b: a + b, "({} + {})", texts, texts),
        strict(str.upper, "upper({})", st.one_of(field("page"), literal(st.sampled_from(["a", "Z"])))),
        strict(str.strip, "trim({})", texts),
        strict(str, "text({})", integers),
        lazy(lambda a, b: b if a is None else a, "coalesce({}, {})", texts, texts),
    )
)
integers: st.SearchStrategy[Pair] = st.deferred(
    lambda: st.one_of(
        field("advertisementId"),
        literal(st.sampled_from([0, 1, -3, 2**40, 2**62])),
        *(
            strict(lambda a, b, f=f: bounded(f(a, b)), f"({{}} {sign} {{}})", integers, integers)
            for sign, f in ARITHMETIC
        ),
        strict(len, "length({})", texts),
        strict(to_integer, "integer({})", texts),
        lazy(lambda c, a, b: a if c is True else b, "({1} if {0} else {2})", booleans, integers, integers),
    )
)
booleans: st.SearchStrategy[Pair] = st.deferred(
    lambda: st.one_of(
        *(strict(f, f"({{}} {sign} {{}})", part, part) for sign, f in COMPARISONS for part in (texts, integers)),
        lazy(kleene_and, "({} and {})", booleans, booleans),
        lazy(kleene_or, "({} or {})", booleans, booleans),
        strict(operator.not_, "(not {})", booleans),
        lazy(lambda a: a is None, "({} is None)", st.one_of(texts, integers, booleans)),
        lazy(lambda a: a is not None, "({} is not None)", texts),
        strict(lambda a: a in ("a", "b"), '({} in ("a", "b"))', texts),
        strict(lambda a: a not in (1, 7), "({} not in (1, 7))", integers),
        strict(lambda a: a.startswith("a"), '(starts_with({}, "a"))', texts),
        strict(lambda a: "b" in a, '(contains({}, "b"))', texts),
    )
)
ARITHMETIC = (("+", operator.add), ("-", operator.sub), ("*", operator.mul))
COMPARISONS = (("==", operator.eq), ("!=", operator.ne), ("<", operator.lt), (">=", operator.ge))

records = st.fixed_dictionaries(
    {
        "eventId": st.just("e"),
        "type": st.sampled_from(["a", "b", "view"]),
        "createdEventTime": st.integers(0, 10).map(lambda ms: datetime.fromtimestamp(ms / 1_000, timezone.utc)),
        "userId": st.none(),
        "advertisementId": st.sampled_from([None, 0, 7, -(2**61), 2**62]),
        "page": st.sampled_from([None, "", "a", " b ", "12", "+5", "1" * 19]),
        "seconds": st.sampled_from([None, 0.0, 1.5]),
    }
)


def table_of(rows: list[dict[str, Value]]) -> pa.Table:
    return pa.Table.from_pylist([{"key": "k", "value": row} for row in rows], schema=SCHEMA)


@given(st.one_of(texts, integers, booleans), st.lists(records, max_size=5))
def test_an_expression_gives_what_its_parts_say(pair: Pair, rows: list[dict[str, Value]]) -> None:
    text, of = pair
    if len(text) > LONGEST:
        return
    expression = parse(text, SCHEMA, "p")
    found = evaluate(expression, table_of(rows))
    assert found.to_pylist() == [of(row) for row in rows]
    assert found.type == expression.kind.arrow


ROW = {
    "eventId": "7",
    "type": "view",
    "createdEventTime": datetime(2020, 1, 1, tzinfo=timezone.utc),
    "userId": None,
    "advertisementId": 7,
    "page": "a.b\nc",
    "seconds": 1.5,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("key", "k"),
        ('value["type"]', "view"),
        ("value.userId", None),
        ('value.userId == "x"', None),
        ('not (value.userId == "x")', None),
        ('value.userId in ("x",)', None),
        ("value.userId is None", True),
        ("value is None", False),
        ("1 < value.seconds <= 1.5", True),
        ("value.seconds * 1000", 1500.0),
        ("value.advertisementId * 1.0", 7.0),
        ("-value.advertisementId", -7),
        ("value.advertisementId / 2", 3.5),
        ("value.advertisementId / 0", None),
        ("value.seconds / 0", None),
        ("1e308 * 10", None),
        ("4611686018427387904 + 1", None),
        ("4611686018427387904 * 4611686018427387904", None),
        ("4611686018427387904 == 4611686018427387904.0", True),
        ("value.advertisementId in (7.0, 2.5)", True),
        ("value.seconds in (9007199254740993, 1.5)", True),
        ("integer(value.seconds)", 1),
        ("integer(-1.5)", -1),
        ("integer(1e300)", None),
        ('integer("+12")', 12),
        ('integer("1.5")', None),
        ('number("1.5e3")', 1500.0),
        ('number(".")', None),
        ('number("1e999")', None),
        ("number(value.advertisementId)", 7.0),
        ("text(value.seconds)", "1.5"),
        ("text(value.createdEventTime)", "1577836800000"),
        ("text(True)", "true"),
        ("integer(value.createdEventTime)", 1577836800000),
        ('value.createdEventTime == time("2020-01-01")', True),
        ('value.createdEventTime == time("2020-01-01T01:00:00+01:00")', True),
        ('value.createdEventTime == time("2020-01-01T00:00:00Z")', True),
        ("time(value.advertisementId) < value.createdEventTime", True),
        ("None if value.seconds > 1 else value.type", None),
        ("value.type if value.userId is None else 'x'", "view"),
        ("coalesce(None, value.advertisementId, 1.5)", 7.0),
        ('matches(value.page, "a[.]b")', False),
        (r'matches(value.page, "a[.]b\\nc")', True),
        ('ends_with(value.page, "c")', True),
        ('lower("ÄB")', "äb"),
        ("True", True),
    ],
)
def test_one_record(text: str, value: Value) -> None:
    assert evaluate(parse(text, SCHEMA, "p"), table_of([ROW])).to_pylist() == [value]


def test_a_predicate_is_not_true_where_it_is_null() -> None:
    rows = [ROW, {**ROW, "userId": "x"}]
    where = parse_predicate('value.userId != "y"', SCHEMA, "p")
    assert is_true(where, table_of(rows)).to_pylist() == [False, True]


def test_an_enum_is_a_text() -> None:
    schema = load("routed-interactions").arrow
    value = {"interaction": "Hover", "advertisementId": 1, "createdEventTime": 0, "duration": None}
    table = pa.Table.from_pylist([{"key": "k", "value": value}], schema=schema)
    assert evaluate(parse('value.interaction + "!"', schema, "p"), table).to_pylist() == ["Hover!"]


def test_nothing_is_executed() -> None:
    with pytest.raises(AdstreamError, match="unknown function '__import__'"):
        parse('__import__("os")', SCHEMA, "p")
    with pytest.raises(AdstreamError, match=r"unknown field 'value\.__class__'"):
        parse("value.__class__", SCHEMA, "p")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is malformed"),
        ("value.type =", "'value.type =' is malformed"),
        ("valu.type", "unknown field 'valu': did you mean 'value'?"),
        ("value.tipe", "unknown field 'value.tipe': did you mean 'value.type'?"),
        ("value.type.x", "unknown field 'value.type.x'"),
        ("lowr(value.type)", "unknown function 'lowr': did you mean 'lower'?"),
        ("lower(1)", "lower() of 1: it takes text"),
        ('lower("a", "b")', "lower() has 2 arguments: it takes 1"),
        ("lower(x=1)", "'lower(x=1)' is not part of the language"),
        ('value.type == "a" == 3', "'==' between 'a' and 3: compare things of one kind"),
        ("value.type < value.seconds", "'<' between value.type (text) and value.seconds (number)"),
        ("value == value", "'==' between value (other) and value (other)"),
        ("value.type == None", "'== None' is never true: write 'is None' or 'is not None'"),
        ("value.type is 3", "'is 3': after 'is' stands None"),
        ("value.type in value.page", "'in value.page': list the values"),
        ("value.type in ()", "'in ()': list the values"),
        ('value.type in ("a", None)', "'in' takes values only, and no None"),
        ('value.type in ("a", value.page)', "'in' takes values only"),
        ('value.type in ("a", 1)', "'in' between value.type (text) and 1"),
        ("value.type + 1", "'+' between value.type (text) and 1: convert"),
        ('"a" - "b"', "'-' between 'a' and 'b'"),
        ("not value.type", "'not' with value.type (text): write what is true or false"),
        ("value.type and True", "'and' with value.type (text)"),
        ("1 if value.type else 2", "'if' with value.type (text)"),
        ('1 if True else "a"', "'if' mixes 1, 'a': make them one kind"),
        ("None if True else None", "'if' mixes None, None"),
        ("coalesce(value.type, 1)", "'coalesce' mixes value.type (text), 1"),
        ("coalesce()", "unknown function 'coalesce'"),
        ('matches(value.type, "(")', "matches() with '('"),
        ("matches(value.type, value.page)", "matches() with value.page (text): its last argument"),
        ('time("soon")', "time('soon'): write it as"),
        ("time(value.page)", "time() of value.page (text)"),
        ("value.seconds // 2", "is not part of the language"),
        ("lambda: 1", "is not part of the language"),
        ("[1]", "is not part of the language"),
        ('f"{1}"', "is not part of the language"),
        ('b"a"', "can't be a value here"),
        ("99999999999999999999", "can't be a value here"),
        ("1e999", "can't be a value here"),
        ('"\\ud800"', "it can't be read"),
        ("-" * 3_000 + "1", "it can't be read"),
        ("1" * (LONGEST + 1), "4001 characters are too many: use at most 4000"),
        ("value['type'][0]", "is not a field"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_its_place(text: str, message: str) -> None:
    with pytest.raises(AdstreamError) as caught:
        parse(text, SCHEMA, "branch 'x', where")
    assert str(caught.value).startswith("branch 'x', where: ")
    assert message in str(caught.value)


def test_a_predicate_must_be_true_or_false() -> None:
    with pytest.raises(AdstreamError, match=r"p: 'value.seconds' gives value.seconds \(number\)"):
        parse_predicate("value.seconds", SCHEMA, "p")


def test_kinds_of_a_contract() -> None:
    fields = {f.name: parse(f"value.{f.name}", SCHEMA, "p").kind for f in SCHEMA.field("value").type}
    assert fields == {
        "eventId": Kind.TEXT,
        "type": Kind.TEXT,
        "createdEventTime": Kind.TIME,
        "userId": Kind.TEXT,
        "advertisementId": Kind.INTEGER,
        "page": Kind.TEXT,
        "seconds": Kind.NUMBER,
    }
