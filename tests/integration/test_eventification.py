"""The tables of a real PostgreSQL, freed while others write, joined by their foreign keys: what a query joins there."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from common.contracts.contract import load
from common.streams.materialise import settled, table
from tests.integration.conftest import Adstream, Writers, cli, execute, killed

pytestmark = pytest.mark.integration

TABLES = {"advertisement-rows": 60, "campaign-rows": 12, "customer-rows": 5}
"""How many ids each has."""
_KEPT = "is_deleted boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT now()"
CREATE = (
    f"CREATE TABLE advertisement (id bigint PRIMARY KEY, name text, type text, campaign_id bigint, {_KEPT})",
    f"CREATE TABLE campaign (id bigint PRIMARY KEY, name text, customer_id bigint, {_KEPT})",
    f"CREATE TABLE customer (id bigint PRIMARY KEY, name text, country text, credit_limit bigint, {_KEPT})",
)
JOINED = """
    SELECT a.id, a.name, a.type, c.id, c.name, k.id, k.name, k.country FROM advertisement a
    LEFT JOIN campaign c ON c.id = a.campaign_id AND NOT c.is_deleted
    LEFT JOIN customer k ON k.id = c.customer_id AND NOT k.is_deleted
    WHERE NOT a.is_deleted"""
KILLS = 3


def change(session: psycopg.Connection, chance: random.Random, number: int) -> None:
    stream = chance.choice(list(TABLES))
    name, deleted, key = f"row {number}", chance.random() < 0.15, chance.randrange(TABLES[stream])
    columns: dict[str, Any] = {"id": key, "name": name, "is_deleted": deleted}
    if stream == "advertisement-rows":
        columns |= {"type": "Pets", "campaign_id": chance.choice([None, chance.randrange(15)])}
    elif stream == "campaign-rows":
        columns |= {"customer_id": chance.choice([None, chance.randrange(7)])}
    else:
        columns |= {"country": chance.choice(["DE", "FR"]), "credit_limit": number}
    names = ", ".join(columns)
    told = ", ".join(f"{column} = excluded.{column}" for column in columns if column != "id")
    session.execute(
        f"INSERT INTO {stream.removesuffix('-rows')} ({names}, updated_at)"
        f" VALUES ({', '.join(['%s'] * len(columns))}, clock_timestamp())"
        f" ON CONFLICT (id) DO UPDATE SET {told}, updated_at = excluded.updated_at",
        tuple(columns.values()),
    )


def right(database: str) -> pa.Table:
    """What the database joins."""
    with psycopg.connect(database) as connection:
        found = connection.execute(JOINED).fetchall()
    rows = [
        {
            "key": key,
            "value": {
                "name": name,
                "type": kind,
                "campaign": None if campaign is None else {"id": campaign, "name": campaign_name},
                "customer": None if customer is None else {"id": customer, "name": customer_name, "country": country},
            },
        }
        for key, name, kind, campaign, campaign_name, customer, customer_name, country in found
    ]
    contract = load("promotions")
    return settled([pa.Table.from_pylist(rows, schema=contract.arrow)], contract)


@pytest.mark.timeout(600)
def test_the_public_stream_is_what_the_database_joins_whatever_is_killed(
    database: str, adstream: Adstream, tmp_path: Path
) -> None:
    execute(database, *CREATE)
    folders = {stream: tmp_path / stream for stream in TABLES}
    source, chance = tmp_path / "in", random.Random(3)
    source.mkdir()
    for stream, folder in folders.items():
        (folder / stream).mkdir(parents=True)
        (source / stream).symlink_to(folder / stream)
    run = (
        *("run", "eventification", "--engine", "local", "--mode", "stream", "--until-caught-up"),
        *("--input", source, "--output", tmp_path / "out", "--set", "buckets=4"),
    )

    def free(stream: str) -> tuple[object, ...]:
        return "liberate", stream, "--database", database, "--output", folders[stream]

    kills = 0
    with Writers(database, change, seed=9) as writers:
        for number in range(KILLS):
            for stream in TABLES:
                kills += killed(cli(*free(stream)), chance.uniform(0.5, 4.0))
            if number:
                kills += killed(cli(*run), chance.uniform(1.0, 6.0))
    for stream in TABLES:
        assert adstream(*free(stream)).code == 0
    said = adstream(*run)
    assert said.code == 0, said.err

    joined = table(tmp_path / "out", "promotions", load("promotions"))
    assert joined.equals(right(database))
    assert kills > 0 and writers.changes > 300
    assert joined["value"].combine_chunks().field("customer").null_count < joined.num_rows
