"""The shape of one parsed JSON record: what keeps it from a contract's types, in words.

Checks are built once for a contract, as closures: asking Arrow for its types is slow. Nulls are left
to `conform`, as are values.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from common.contracts.contract import Contract
from common.streams.conform import shown

Check = Callable[[object], "str | None"]
"""Gives what is wrong with a value, None for nothing."""


def record_check(contract: Contract) -> Check:
    """The check of a contract's records; `key` and `value` must be there, even if null."""
    parts = [(part.name, True, _check(part.type, part.name)) for part in contract.arrow]
    return _members("the record", "", parts)


def _check(kind: pa.DataType, path: str) -> Check:
    if pa.types.is_struct(kind):
        members = [(child.name, not child.nullable, _check(child.type, f"{path}.{child.name}")) for child in kind]
        return _members(path, f"{path}.", members)
    if pa.types.is_list(kind):
        return _items(path, _check(kind.value_type, path))
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return _integer(path, kind.bit_width)
    if pa.types.is_boolean(kind):
        return _instance(path, (bool,), "true or false")
    if pa.types.is_floating(kind):
        return _instance(path, (int, float), "a number")
    return _instance(path, (str,), "a string")


def _members(path: str, prefix: str, members: list[tuple[str, bool, Check]]) -> Check:
    def check(value: object) -> str | None:
        if type(value) is not dict:
            return None if value is None and prefix else f"{path} is {shown(value)}, not an object"
        for name, required, member in members:
            if name in value:
                fault = member(value[name])
                if fault is not None:
                    return fault
            elif required:
                return f"{prefix}{name} is missing"
        return None

    return check


def _items(path: str, item: Check) -> Check:
    def check(value: object) -> str | None:
        if type(value) is not list:
            return None if value is None else f"{path} is {shown(value)}, not an array"
        return next((fault for fault in map(item, value) if fault is not None), None)

    return check


def _integer(path: str, bits: int) -> Check:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def check(value: object) -> str | None:
        if value is None or (type(value) is int and low <= value <= high):
            return None
        return f"{path} is {shown(value)}, not a whole number of {bits} bits"

    return check


def _instance(path: str, types: tuple[type, ...], expected: str) -> Check:
    def check(value: object) -> str | None:
        return None if value is None or type(value) in types else f"{path} is {shown(value)}, not {expected}"

    return check
