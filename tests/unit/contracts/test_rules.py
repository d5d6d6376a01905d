from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from common.contracts.contract import STREAMS, Contract, load, load_from
from common.contracts.rules import rule_in
from common.errors import AdstreamError
from common.streams.conform import conform

Row = dict[str, Any]


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """A copy of the contracts that a test may change."""
    return Path(shutil.copytree(str(STREAMS), tmp_path / "streams"))


def declared(contracts: Path, rules: object) -> Contract:
    """The contract of customers, under other rules."""
    path = contracts / "customer-rows" / "stream.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "rules": rules}))
    return load_from(contracts, "customer-rows")


def judged(rows: list[Row], contract: Contract) -> dict[int, str]:
    records = pa.Table.from_pylist([{"key": 1, "value": row} for row in rows], schema=contract.arrow)
    return conform(records, contract, 0).reasons()


rows_given = st.lists(
    st.none()
    | st.fixed_dictionaries(
        {
            "name": st.sampled_from(["", " ", "Josh"]),
            "country": st.sampled_from(["DE", "NA", "XX", "de"]),
            "creditLimit": st.sampled_from([-1, 0, 100_000_000, 100_000_001]),
        }
    ),
    max_size=8,
)


@given(rows_given)
def test_the_first_rule_that_a_record_breaks_is_told(rows: list[Row]) -> None:
    def broken(row: Row) -> str | None:
        if not row["name"].strip():
            return "name-is-there"
        if row["country"] not in ("DE", "NA"):
            return "country-is-known"
        return None if 0 <= row["creditLimit"] <= 100_000_000 else "credit-limit-is-sane"

    right = {place: broken(row) for place, row in enumerate(rows) if row is not None and broken(row)}
    assert {row: rule_in(reason) for row, reason in judged(rows, load("customer-rows")).items()} == right


def test_a_reason_names_each_value_and_what_is_demanded(contracts: Path) -> None:
    contract = declared(contracts, {"no-credit-abroad": "value.country == 'DE' or value.creditLimit == 0"})
    (reason,) = judged([{"name": "Eve", "country": "FR", "creditLimit": 5}], contract).values()
    assert reason == (
        "value.country is 'FR' and value.creditLimit is 5, which breaks the rule 'no-credit-abroad' "
        "(value.country == 'DE' or value.creditLimit == 0)"
    )


def test_a_rule_that_has_no_answer_is_kept(contracts: Path) -> None:
    contract = declared(contracts, {"name-is-a-number": "integer(value.name) > 5"})
    assert list(judged([{"name": name, "country": "", "creditLimit": 0} for name in ("x", "7", "3")], contract)) == [2]


def test_a_list_may_be_of_integers(contracts: Path) -> None:
    (contracts / "customer-rows" / "limits.csv").write_text("limit,note\n100,low\n200,high\n")
    contract = declared(contracts, {"limit-is-usual": {"field": "value.creditLimit", "listed": "limits.csv"}})
    assert list(judged([{"name": "", "country": "", "creditLimit": limit} for limit in (100, 150)], contract)) == [1]


def test_what_breaks_the_schema_is_told_first() -> None:
    rows = pa.table({"key": [1], "value": [{"name": None, "country": "XX", "creditLimit": 0}]})
    assert conform(rows, load("customer-rows"), 0).reasons() == {0: "value.name is null"}


def test_rules_travel_to_workers() -> None:
    contract = load("customer-rows")
    assert pickle.loads(pickle.dumps(contract)).rules == contract.rules  # noqa: S301


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"Price": "key > 0"}, "customer-rows/stream.yaml: rule 'Price': it is no name"),
        ({"a": "value.price > 0"}, "rule 'a': unknown field 'value.price'"),
        ({"a": "value.creditLimit"}, "rule 'a': 'value.creditLimit' gives .*integer"),
        ({"a": "value.name > 5"}, "rule 'a': "),
        ({"a": "0 <"}, "rule 'a': "),
        ({"a": "matches(value.name, '[')"}, "rule 'a': "),
        ({"a": "1 > 0"}, "rule 'a': it looks at no field"),
        ({"a": ""}, "stream.yaml: 'rules.a"),
        ({"a": {"field": "value.name", "listed": "../x.csv"}}, "stream.yaml: 'rules.a"),
        ({"a": {"field": "value.name", "listed": "x.csv"}}, "rule 'a': there is no 'x.csv': put it beside"),
        ({"a": {"field": "value", "listed": "countries.csv"}}, "rule 'a': 'value' is no field of text or integers"),
        ({"a": {"field": "value.creditLimit", "listed": "countries.csv"}}, "'countries.csv' has no column of integers"),
        ({"a": {"field": "value.name", "listed": "none.csv"}}, "'none.csv' lists nothing"),
        ({"a": {"field": "value.name", "listed": "empty.csv"}}, "'empty.csv' has no column of texts"),
    ],
)
def test_a_wrong_rule_is_one_line(contracts: Path, rules: object, problem: str) -> None:
    (contracts / "customer-rows" / "none.csv").write_text("country\n")
    (contracts / "customer-rows" / "empty.csv").write_text("")
    with pytest.raises(AdstreamError, match=problem) as refused:
        declared(contracts, rules)
    assert "\n" not in str(refused.value)
