"""A shop's table of advertisements, filled: a database to begin with, where there is none."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from common.contracts.contract import load
from common.databases.postgres import Database

STREAM = "advertisements"
_BROUGHT = pa.schema([("id", pa.int64()), ("name", pa.string()), ("type", pa.string())])
_TABLE = """\
CREATE TABLE IF NOT EXISTS advertisement (
    id bigint PRIMARY KEY, name text NOT NULL, type text NOT NULL,
    is_deleted boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT now())"""
"""As `jobs/liberate/tables.yaml` frees it."""


def seed(database: Database, advertisements: Iterable[pa.Table]) -> int:
    """Makes the table `advertisement` where it is missing, and puts rows into it; gives how many.

    Args:
        database: The database.
        advertisements: Records of the stream `advertisements`, without tombstones, each key once.

    Raises:
        AdstreamError: The database refuses it, or is gone (`UNAVAILABLE`).
    """
    schema = load(STREAM).arrow
    records = pa.concat_tables([schema.empty_table(), *advertisements]).combine_chunks()
    values = pa.Table.from_batches([pa.RecordBatch.from_struct_array(chunk) for chunk in records["value"].chunks])
    rows = pa.table([records["key"], values["name"], values["type"]], schema=_BROUGHT)
    with database.transaction():
        database.run(_TABLE)
        database.run("CREATE INDEX IF NOT EXISTS advertisement_updated_at ON advertisement (updated_at)")
        count = database.bring("seeded", pa.RecordBatchReader.from_batches(_BROUGHT, rows.to_batches()))
        database.run(
            "INSERT INTO advertisement (id, name, type) SELECT id, name, type FROM seeded ON CONFLICT (id) DO UPDATE"
            " SET name = excluded.name, type = excluded.type, is_deleted = false, updated_at = now()"
        )
        database.run("DROP TABLE seeded")
    return count
