"""Tables in PostgreSQL: each step is one transaction over all tables, which also says that the step is done.

The marker of a job is its row in `adstream_landing`: the last step that was delivered, and the run that may deliver.
It is committed together with the step's rows, so a step that is taken again after a crash is found delivered, and
skipped. A run takes the marker on before it begins, so a second copy of a job fences the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from common.contracts.contract import Contract
from common.databases.postgres import Database
from common.databases.sql import literal, quoted
from common.errors import AdstreamError
from common.streams.columns import relisted
from common.streams.encode import open_encoder
from common.streams.json_text import json_text
from common.streams.staging import Part, PartWriter, drop_staged, number_of, staged_records, transacted
from common.tables.evolution import new_columns
from common.tables.layout import DELETED, Layout, sql_name
from common.tables.runs import begin, running

MARKER = "adstream_landing"
"""The table of the markers, one row a job."""
ARRIVED = "adstream_arrived"
"""The rows of a step, while they are brought into their table."""
_TYPES: Mapping[pa.DataType, str] = {
    pa.bool_(): "boolean",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.binary(): "bytea",
    pa.string(): "text",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp with time zone",
}
"""The types of plain columns, as `format_type` names them; structs and lists are `jsonb`."""


@dataclass(frozen=True)
class PostgresTables:
    """A job's tables in a database. It can be pickled.

    Attributes:
        url: `postgresql://USER@HOST:PORT/DATABASE`.
        job: The job, whose marker is kept.
        root: The local folder in which parts wait for their step to be delivered.
        layouts: How each stream's records lie in its table.
    """

    url: str
    job: str
    root: str
    layouts: Mapping[str, Layout]

    @property
    def contracts(self) -> Mapping[str, Contract]:
        """The contract of every stream."""
        return {stream: layout.contract for stream, layout in self.layouts.items()}

    def writer(self, step: str, part: str) -> PartWriter:
        """As `Sink.writer`."""
        return PartWriter(Path(self.root), step, part, ".parquet", self.contracts, open_encoder)

    def deliver(self, step: str, parts: Iterable[Part]) -> None:
        """As `Sink.deliver`; a step that the marker covers is skipped. A database that is restarted is waited for.

        Raises:
            AdstreamError: The database does not come back (`UNAVAILABLE`), does not take it, or another run of the job
                has taken over.
        """
        transacted(step, parts, self.contracts, partial(self._transact, number_of(step)))

    def recover(self, step: str) -> None:
        """As `Sink.recover`; what is in the database stays, the marker tells which steps those are.

        It fences the run before: none of its steps can be delivered from here on.
        """
        drop_staged(Path(self.root))
        with Database(self.url, read_only=False) as database:
            self._take_over(database, anew=False)

    def delivered(self) -> int:
        """As `Sink.delivered`: the step of the marker."""
        with Database(self.url, read_only=True) as database:
            if not _exists(database, MARKER):
                return -1
            found = database.rows(f"SELECT step FROM {MARKER} WHERE job = {literal(self.job)}")["step"].to_pylist()
            return int(found[0]) if found else -1

    def clear(self) -> None:
        """As `Sink.clear`: drops the tables that the job has made, and begins its marker anew.

        Raises:
            AdstreamError: There is a table of that name that it has not made.
        """
        drop_staged(Path(self.root))
        with Database(self.url, read_only=False) as database, database.transaction():
            for layout in self.layouts.values():
                table = _Table(layout, self.job)
                if table.is_there(database):
                    database.run(f"DROP TABLE {quoted(table.name)}")
            self._take_over(database, anew=True)

    def _take_over(self, database: Database, *, anew: bool) -> None:
        """Makes this run the one that may deliver; `anew` also forgets what was delivered."""
        run = begin(self.root)
        # Two at once would both find no table, and one of them fail.
        if not _exists(database, MARKER):
            with suppress(AdstreamError):
                database.run(f"CREATE TABLE {MARKER} (job text PRIMARY KEY, step bigint NOT NULL, run text NOT NULL)")
        reset = ", step = -1" if anew else ""
        database.run(
            f"INSERT INTO {MARKER} AS m VALUES ({literal(self.job)}, -1, {literal(str(run))})"
            f" ON CONFLICT (job) DO UPDATE SET run = excluded.run{reset}"
        )

    def _transact(self, step: int, staged: Mapping[str, list[Path]]) -> None:
        """Delivers a step, unless the marker says that it was: a commit that seemed to fail may have happened."""
        run = running(self.root)
        where = f"WHERE job = {literal(self.job)}"
        with Database(self.url, read_only=False) as database, database.transaction("READ COMMITTED"):
            (marker,) = database.rows(f"SELECT step, run FROM {MARKER} {where} FOR UPDATE").to_pylist()
            if marker["run"] != str(run):
                raise AdstreamError(
                    f"job '{self.job}', tables at {database.where}: another run of this job has taken over",
                    "stop one of the two",
                )
            if marker["step"] >= step:
                return
            for stream, paths in staged.items():
                if paths:
                    _Table(self.layouts[stream], self.job).put(database, paths)
            database.run(f"UPDATE {MARKER} SET step = {step} {where}")


@dataclass(frozen=True)
class _Table:
    """The table of a stream.

    Attributes:
        layout: How its rows look.
        job: The job that keeps it.
    """

    layout: Layout
    job: str

    @property
    def name(self) -> str:
        """The name of the stream, as databases name things."""
        return sql_name(self.layout.contract.stream)

    @property
    def columns(self) -> dict[str, str]:
        """The type of each column."""
        return {field.name: _TYPES.get(field.type, "jsonb") for field in self.layout.columns}

    def is_there(self, database: Database) -> bool:
        """Whether the database has the table.

        Raises:
            AdstreamError: It has one of that name that the job has not made.
        """
        if not _exists(database, self.name):
            return False
        comment = f"obj_description({literal(quoted(self.name))}::regclass, 'pg_class')"
        (said,) = database.rows(f"SELECT {comment} AS said")["said"].to_pylist()
        if said != self._comment:
            raise AdstreamError(
                f"database at {database.where}: the table '{self.name}' is not one that job '{self.job}' made",
                "rename it, or land into another database",
            )
        return True

    def put(self, database: Database, staged: list[Path]) -> None:
        """Brings a step's rows into the table, which is made or gains columns as the contract wants it."""
        self._fit(database)
        database.bring(ARRIVED, pa.RecordBatchReader.from_batches(self._brought, self._batches(staged)))
        names = list(self.columns)
        listed = ", ".join(map(quoted, names))
        chosen = ", ".join(f"a.{quoted(name)}::{kind}" for name, kind in self.columns.items())
        insert = f"INSERT INTO {quoted(self.name)} ({listed}) SELECT {chosen} FROM {ARRIVED} AS a"
        if self.layout.upserts:
            gone = f"a.{quoted(DELETED)}"
            same = " AND ".join(f"t.{quoted(key)} = a.{quoted(key)}" for key in self.layout.keys)
            database.run(f"DELETE FROM {quoted(self.name)} AS t USING {ARRIVED} AS a WHERE {gone} AND {same}")
            rest = [name for name in names if name not in self.layout.keys]
            updates = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in rest)
            keys = ", ".join(map(quoted, self.layout.keys))
            insert += f" WHERE NOT {gone} ON CONFLICT ({keys}) DO " + (f"UPDATE SET {updates}" if rest else "NOTHING")
        database.run(insert)
        database.run(f"DROP TABLE {ARRIVED}")

    def _fit(self, database: Database) -> None:
        if not self.is_there(database):
            columns = [f"{quoted(name)} {kind}" for name, kind in self.columns.items()]
            if self.layout.upserts:
                columns.append(f"PRIMARY KEY ({', '.join(map(quoted, self.layout.keys))})")
            database.run(f"CREATE TABLE {quoted(self.name)} ({', '.join(columns)})")
            database.run(f"COMMENT ON TABLE {quoted(self.name)} IS {literal(self._comment)}")
            return
        found = database.rows(
            "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS kind FROM pg_attribute"
            f" WHERE attrelid = {literal(quoted(self.name))}::regclass AND attnum > 0 AND NOT attisdropped"
        )
        has = dict(zip(found["name"].to_pylist(), found["kind"].to_pylist(), strict=True))
        for name, kind in new_columns(has, self.columns, f"table '{self.name}' at {database.where}").items():
            database.run(f"ALTER TABLE {quoted(self.name)} ADD COLUMN {quoted(name)} {kind}")

    @property
    def _comment(self) -> str:
        return f"landed by adstream: job {self.job}, stream {self.layout.contract.stream}"

    @property
    def _brought(self) -> pa.Schema:
        """The columns as they are brought: what PostgreSQL has no type for, as JSON text."""
        fields = [
            pa.field(field.name, field.type if field.type in _TYPES else pa.string()) for field in self.layout.columns
        ]
        return pa.schema([*fields, pa.field(DELETED, pa.bool_())] if self.layout.upserts else fields)

    def _batches(self, staged: list[Path]) -> Iterator[pa.RecordBatch]:
        for records in staged_records(staged):
            rows = self.layout.rows(records).combine_chunks()
            columns = [_storable(column.combine_chunks()) for column in rows.columns]
            yield from pa.Table.from_arrays(columns, schema=self._brought).to_batches()


def _storable(column: pa.Array) -> pa.Array:
    """A column as PostgreSQL takes it: nested values as JSON, and no character of code 0, which its texts can't hold."""
    column = _without_zeros(column)
    if not pa.types.is_nested(column.type):
        return column
    texts = json_text(column)
    return pc.if_else(column.is_valid(), texts, None) if column.null_count else texts


def _without_zeros(array: pa.Array) -> pa.Array:
    """The array with U+FFFD in the place of each character of code 0."""
    if pa.types.is_string(array.type):
        return pc.replace_substring(array, "\0", "\ufffd")
    if pa.types.is_struct(array.type):
        children = [_without_zeros(array.field(i)) for i in range(array.type.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(array.type), mask=array.is_null())
    if pa.types.is_list(array.type):
        return relisted(array, _without_zeros(array.flatten()), array.type)
    return array


def _exists(database: Database, table: str) -> bool:
    found = database.rows(f"SELECT to_regclass({literal(quoted(table))}) IS NOT NULL AS there")
    return bool(found["there"][0].as_py())
