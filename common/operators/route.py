"""Splitting a stream into branches: the first rule that takes a record says where it goes and as what.

It comes in two halves, because a branch may have a key of its own, and records with one key must meet. `Assign`
stands before the shuffle: it finds each record's rule, and the key to shuffle by. `Route` stands behind it: it
makes of each record what the branch's contract asks. What no rule takes, and what can't be
made to keep the contract, is the output `unrouted`, with the reason.

Example:
    >>> by_key = KeyBy(Map("assign", Source("ad-firehose"), Assign(rules)), "partitionKey")
    >>> route = Process("route", by_key, Route(rules))
    >>> route.output("routed-clicks")  # records of that stream's contract
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import Contract
from common.expressions.nodes import Expression, evaluate, is_true
from common.operators.buckets import concat
from common.operators.step import END, Step, Watermarks
from common.streams.columns import as_array, timestamps_to_ms
from common.streams.conform import conform
from common.streams.json_text import json_text

FILTERED, REST = -2, -1
"""In the place of a rule's number: the record was not asked for; no rule takes it."""
UNROUTED = "unrouted"
"""The output of what went to no branch."""
NO_STATE = pa.schema([])
UNROUTED_ROWS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("eventTime", pa.int64(), nullable=False),
        pa.field("branch", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""Key and value as JSON text, the time in ms, the branch whose contract was not kept (null: none), the reason."""

Places = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Rule:
    """Which records are taken, and what they become.

    Attributes:
        where: True for the records that are taken.
        key: The key in the branch.
        value: The fields of the value in the branch, in the order of its contract.
    """

    where: Expression
    key: Expression
    value: tuple[Expression, ...]


@dataclass(frozen=True)
class Branch:
    """A stream that is split off.

    Attributes:
        contract: The contract of its records.
        rules: What goes there; several rules merge records of several forms into one.
    """

    contract: Contract
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Rules:
    """How a stream is split: of all rules, in order, the first that is true counts.

    Attributes:
        source: The contract of the records.
        wanted: True for the records to split at all; all others are counted, and go nowhere.
        branches: Where they go.
    """

    source: Contract
    wanted: Expression
    branches: tuple[Branch, ...]

    @property
    def schema(self) -> pa.Schema:
        """Records with their rule: the columns of the source, their time (ms), their rule's number and shuffle key."""
        return pa.schema(
            [
                *self.source.arrow,
                pa.field("eventTime", pa.int64(), nullable=False),
                pa.field("rule", pa.int16(), nullable=False),
                pa.field("partitionKey", pa.string(), nullable=False),
            ]
        )

    def numbered(self) -> Iterator[tuple[int, Branch, Rule]]:
        """All rules, in order."""
        pairs = ((branch, rule) for branch in self.branches for rule in branch.rules)
        for number, (branch, rule) in enumerate(pairs):
            yield number, branch, rule


@dataclass(frozen=True)
class Assign:
    """Records of the source as `Rules.schema`: a batch function for before the shuffle."""

    rules: Rules

    def __call__(self, records: pa.Table) -> pa.Table:
        rows = records.combine_chunks()
        wanted = _mask(is_true(self.rules.wanted, rows))
        found = np.where(wanted, REST, FILTERED).astype(np.int16)
        keys = json_text(as_array(rows["key"]))
        for number, _, rule in self.rules.numbered():
            mine = _mask(is_true(rule.where, rows)) & (found == REST)
            if mine.any():
                found[mine] = number
                keys = pc.if_else(pa.array(mine), json_text(evaluate(rule.key, rows)), keys)
        time = timestamps_to_ms(pc.struct_field(as_array(rows["value"]), self.rules.source.meta.event_time))
        return pa.table([*rows.columns, time, pa.array(found), keys], schema=self.rules.schema)


@dataclass(frozen=True)
class Route:
    """The branches of `Rules`, one output a branch, named as its stream, and `unrouted` (`UNROUTED_ROWS`).

    It keeps no state, so rules may be changed between runs. Records of one key keep their order.
    """

    rules: Rules

    state_schema: pa.Schema = NO_STATE
    state_key: None = None

    @property
    def event_schema(self) -> pa.Schema:
        """`Rules.schema`."""
        return self.rules.schema

    @property
    def outputs(self) -> Mapping[str, pa.Schema]:
        """Each branch's records, in its contract's Arrow schema, and `unrouted`."""
        branches = {branch.contract.stream: branch.contract.arrow for branch in self.rules.branches}
        return {**branches, UNROUTED: UNROUTED_ROWS}

    @property
    def fingerprint(self) -> Mapping[str, int | str | bool]:
        """No state depends on the rules."""
        return {"operator": "route"}

    def step(self, state: pa.Table, events: pa.Table, time: Watermarks) -> Step:
        """Makes each event a record of its branch; time has no effect."""
        rows = events.combine_chunks()
        number = rows["rule"].to_numpy()
        made: dict[str, list[_Made]] = {branch.contract.stream: [] for branch in self.rules.branches}
        unrouted = [_unrouted(rows, np.flatnonzero(number == REST), None, "no branch takes it")]
        for rule_number, branch, rule in self.rules.numbered():
            places = np.flatnonzero(number == rule_number)
            if places.size:
                found = _make(rows.take(pa.array(places)), places, branch, rule)
                made[branch.contract.stream].append(found)
                unrouted.append(_unrouted(rows, found.refused, branch.contract.stream, found.reasons))
        outputs = {
            branch.contract.stream: _in_order(made[branch.contract.stream], branch.contract.arrow)
            for branch in self.rules.branches
        }
        rest = concat(unrouted, UNROUTED_ROWS)
        return Step(
            state=state,
            outputs={**outputs, UNROUTED: rest},
            counters={
                "routed": sum(table.num_rows for table in outputs.values()),
                "filtered": int((number == FILTERED).sum()),
                "unrouted": rest.num_rows,
            },
        )


@dataclass(frozen=True)
class _Made:
    """What a rule made of the records it took.

    Attributes:
        records: Those that keep the branch's contract.
        places: Where each of them stood among the events.
        refused: Where the others stood.
        reasons: What is wrong with each of those.
    """

    records: pa.Table
    places: Places
    refused: Places
    reasons: Sequence[str]


def _make(rows: pa.Table, places: Places, branch: Branch, rule: Rule) -> _Made:
    contract = branch.contract
    value_type = contract.arrow.field("value").type
    wrong: dict[int, str] = {}
    fields = [
        _narrowed(evaluate(expression, rows), field.type, f"value.{field.name}", wrong)
        for field, expression in zip(value_type, rule.value, strict=True)
    ]
    key = _narrowed(evaluate(rule.key, rows), contract.arrow.field("key").type, "key", wrong)
    value = pa.StructArray.from_arrays(fields, names=[field.name for field in value_type])
    conformed = conform(pa.table({"key": key, "value": value}), contract, END)
    reasons = {**conformed.reasons(), **wrong}
    refused = np.array(sorted(reasons), dtype=np.intp)
    good = np.ones(len(places), dtype=np.bool_)
    good[refused] = False
    records = conformed.table if good.all() else conformed.table.filter(pa.array(good))
    return _Made(records, places[good], places[refused], [reasons[row] for row in refused.tolist()])


def _narrowed(array: pa.Array, wanted: pa.DataType, path: str, wrong: dict[int, str]) -> pa.Array:
    """The array in a type of 32 bits, where that is wanted; what is too large for it is noted in `wrong`."""
    if not (pa.types.is_int32(wanted) or pa.types.is_float32(wanted)):
        return array
    limits = np.iinfo(np.int32) if pa.types.is_int32(wanted) else np.finfo(np.float32)
    numbers = array.cast(pa.float64(), safe=False)
    fits = pc.and_(pc.less_equal(numbers, float(limits.max)), pc.greater_equal(numbers, float(limits.min)))
    for row in np.flatnonzero(_mask(pc.fill_null(pc.invert(fits), False))).tolist():
        wrong[row] = f"{path} is {array[row].as_py()}, too large for its type"
    return pc.if_else(fits, array, None).cast(wanted)


def _in_order(made: Sequence[_Made], schema: pa.Schema) -> pa.Table:
    """The records of all rules of a branch, in the order of the events."""
    records = concat([part.records for part in made], schema)
    if len(made) < 2:
        return records
    return records.take(pa.array(np.argsort(np.concatenate([part.places for part in made]))))


def _unrouted(rows: pa.Table, places: Places, branch: str | None, reasons: str | Sequence[str]) -> pa.Table:
    if not places.size:
        return UNROUTED_ROWS.empty_table()
    taken = rows.take(pa.array(places))
    each = [reasons] * len(places) if isinstance(reasons, str) else list(reasons)
    columns = [
        json_text(as_array(taken["key"])),
        json_text(as_array(taken["value"])),
        taken["eventTime"],
        pa.array([branch] * len(places), pa.string()),
        pa.array(each, pa.string()),
    ]
    return pa.table(columns, schema=UNROUTED_ROWS)


def _mask(booleans: pa.Array) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = booleans.to_numpy(zero_copy_only=False)
    return mask
