from __future__ import annotations

import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.expressions.nodes import Field
from common.expressions.parse import parse_predicate
from common.expressions.reachable import contradicts, is_covered

SCHEMA = load("ad-firehose").arrow
SESSION = load("routed-interactions").arrow


def symbols(field: Field) -> list[str] | None:
    return ["Hover", "Dismiss"] if pa.types.is_dictionary(field.type) else None


@pytest.mark.parametrize(
    ("where", "never"),
    [
        ("True", False),
        ("False", True),
        ("1 == 2", True),
        ('value.type == "a" and value.type == "b"', True),
        ('value.type == "a" or value.type == "b"', False),
        ('value.type > "a" and value.type < "b"', False),
        ('value.type > "a" and value.type < "a\\0"', True),
        ('not (value.type == "a" or value.type != "a")', True),
        ("value.type is None", True),
        ("value.page is None", False),
        ('value.page is None and value.page == "x"', True),
        ("value.advertisementId > 5 and value.advertisementId < 6", True),
        ("value.advertisementId > 5 and value.advertisementId < 7", False),
        ("value.advertisementId > 5.5 and value.advertisementId < 6", True),
        ("value.advertisementId > 1e300", True),
        ("value.seconds > 5 and value.seconds < 6", False),
        ("5 < value.seconds < 5", True),
        ("value.advertisementId in (1, 2) and value.advertisementId not in (2, 1)", True),
        ('value.createdEventTime < time("2020-01-01") and value.createdEventTime > time("2021-01-01")', True),
        ('lower(value.page) == "X"', False),
        ('lower(value.page) == "x" and not lower(value.page) == "x"', True),
        ("value.seconds == value.advertisementId and value.seconds < 0", False),
    ],
)
def test_a_contradiction_is_found(where: str, never: bool) -> None:
    assert contradicts(parse_predicate(where, SCHEMA, "p"), symbols) is never


@pytest.mark.parametrize(
    ("where", "never"),
    [
        ('value.interaction == "Hover"', False),
        ('value.interaction == "Howl"', True),
        ('value.interaction not in ("Hover", "Dismiss")', True),
    ],
)
def test_an_enum_has_no_other_values(where: str, never: bool) -> None:
    assert contradicts(parse_predicate(where, SESSION, "p"), symbols) is never


@pytest.mark.parametrize(
    ("where", "earlier", "covered"),
    [
        ('value.type == "a"', ['value.type in ("a", "b")'], True),
        ('value.type == "c"', ['value.type in ("a", "b")'], False),
        ('value.type in ("a", "b")', ['value.type == "a"', 'value.type == "b"'], True),
        ("True", ["value.page is None", "value.page is not None"], True),
        ("True", ['value.page == "x"', 'value.page != "x"'], False),
        ("value.page is None", ['value.page == "x"', 'value.page != "x"'], False),
        ("value.seconds > 5", ["value.seconds >= 5"], True),
        ("value.seconds >= 5", ["value.seconds > 5"], False),
        ('contains(value.page, "x")', ['contains(value.page, "x")'], True),
        ('contains(value.page, "x")', ['contains(value.page, "")'], False),
    ],
)
def test_what_earlier_ones_take_is_found(where: str, earlier: list[str], covered: bool) -> None:
    others = [parse_predicate(other, SCHEMA, "p") for other in earlier]
    assert is_covered(parse_predicate(where, SCHEMA, "p"), others, symbols) is covered


def test_too_many_combinations_are_taken_to_be_reachable() -> None:
    fields = [f.name for f in SCHEMA.field("value").type if f.type == pa.string()]
    many = " or ".join(f"value.{name} == '{letter}'" for name in fields for letter in "abcdefghij")
    mine = parse_predicate('value.type == "z"', SCHEMA, "p")
    assert not is_covered(mine, [parse_predicate(many, SCHEMA, "p")], symbols)
    assert is_covered(mine, [parse_predicate(w, SCHEMA, "p") for w in (many, 'value.type > "y"')], symbols)
