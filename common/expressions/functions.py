"""What the operators and functions of expressions compute, over whole columns; none of them ever fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from common.streams.columns import TIMESTAMP

LARGEST = 2**62
"""The largest size of an integer that a calculation gives; what would be beyond is null."""
_INTEGER = r"^[+-]?[0-9]{1,18}$"
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def _compared(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    return function(*_alike(left, right))


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Both as numbers where one of them is: Arrow itself fails on integers that a number can't hold exactly."""
    if pa.types.is_floating(left.type) == pa.types.is_floating(right.type):
        return left, right
    return _number(left), _number(right)


def _in(value: Any, *choices: pa.Scalar) -> Any:
    alike = map(_number, choices) if pa.types.is_floating(value.type) else choices
    chosen = pa.array([choice.as_py() for choice in alike], value.type)
    return pc.if_else(pc.is_valid(value), pc.is_in(value, value_set=chosen), None)


def _if(condition: Any, then: Any, otherwise: Any) -> Any:
    return pc.if_else(pc.fill_null(condition, False), then, otherwise)


def _add(left: Any, right: Any) -> Any:
    if pa.types.is_string(left.type):
        return pc.binary_join_element_wise(left, right, "")
    return _calculated(pc.add, left, right)


def _divide(left: Any, right: Any) -> Any:
    return _finite(pc.divide(_number(left), _number(right)))


def _calculated(function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """A sum, difference or product; null where it is beyond `LARGEST`, or not finite."""
    left, right = _alike(left, right)
    result = function(left, right)
    if pa.types.is_floating(result.type):
        return _finite(result)
    near = function(_number(left), _number(right))
    # Whatever is near enough has not wrapped around, so that the exact result tells.
    unwrapped = pc.less_equal(pc.abs(near), float(LARGEST + 1024))
    fits = pc.and_(unwrapped, pc.and_(pc.less_equal(result, LARGEST), pc.greater_equal(result, -LARGEST)))
    return pc.if_else(fits, result, None)


def _finite(numbers: Any) -> Any:
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _parsed(texts: Any, pattern: str, to: pa.DataType) -> Any:
    """Texts in the form of a number as such; all others null."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.match_substring_regex(trimmed, pattern), trimmed, None).cast(to)


def _integer(value: Any) -> Any:
    if pa.types.is_string(value.type):
        return _parsed(pc.replace_substring_regex(value, r"^(\s*)\+", r"\1"), _INTEGER, pa.int64())
    if pa.types.is_floating(value.type):
        fits = pc.less_equal(pc.abs(value), float(LARGEST))
        return pc.trunc(pc.if_else(fits, value, None)).cast(pa.int64())
    return value.cast(pa.int64())


def _number(value: Any) -> Any:
    if pa.types.is_string(value.type):
        return _finite(_parsed(pc.replace_substring_regex(value, r"^(\s*)\+", r"\1"), _NUMBER, pa.float64()))
    return value.cast(pa.float64(), safe=False)


def _text(value: Any) -> Any:
    return (value.cast(pa.int64()) if pa.types.is_timestamp(value.type) else value).cast(pa.string())


def _starts_with(text: Any, start: pa.Scalar) -> Any:
    return pc.starts_with(text, start.as_py())


def _ends_with(text: Any, end: pa.Scalar) -> Any:
    return pc.ends_with(text, end.as_py())


def _contains(text: Any, part: pa.Scalar) -> Any:
    return pc.match_substring(text, part.as_py())


def _matches(text: Any, pattern: pa.Scalar) -> Any:
    return pc.match_substring_regex(text, whole(pattern.as_py()))


def whole(pattern: str) -> str:
    """A pattern (RE2) that takes the whole text."""
    return rf"\A(?:{pattern})\z"


COMPUTE: Mapping[str, Callable[..., Any]] = {
    "and": pc.and_kleene,
    "or": pc.or_kleene,
    "not": pc.invert,
    "==": partial(_compared, pc.equal),
    "!=": partial(_compared, pc.not_equal),
    "<": partial(_compared, pc.less),
    "<=": partial(_compared, pc.less_equal),
    ">": partial(_compared, pc.greater),
    ">=": partial(_compared, pc.greater_equal),
    "is None": pc.is_null,
    "in": _in,
    "if": _if,
    "coalesce": pc.coalesce,
    "+": _add,
    "-": partial(_calculated, pc.subtract),
    "*": partial(_calculated, pc.multiply),
    "/": _divide,
    "lower": pc.utf8_lower,
    "upper": pc.utf8_upper,
    "trim": pc.utf8_trim_whitespace,
    "length": lambda text: pc.utf8_length(text).cast(pa.int64()),
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "contains": _contains,
    "matches": _matches,
    "text": _text,
    "integer": _integer,
    "number": _number,
    "time": lambda ms: ms.cast(TIMESTAMP),
}
