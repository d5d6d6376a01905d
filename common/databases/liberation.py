"""What is freed from a database, and how: a file with a section a stream.

advertisements:
  table: advertisement
  key: id
  value: {name: name, type: category}
  deleted: is_deleted
  read: {by: time, column: updated_at, lag: 10m}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from typing_extensions import Self

from common.config.job import Duration
from common.contracts.contract import Contract
from common.errors import AdstreamError
from common.names import nearest, pick

if TYPE_CHECKING:
    from importlib.abc import Traversable

TABLES: Traversable = files("jobs").joinpath("liberate").joinpath("tables.yaml")
"""What this suite frees. A resource and not a path, so that it also loads out of a zip."""

LIBERATE = "liberate-"
"""How the name of a liberation begins; that of its stream follows."""
XMIN = "xmin"
"""The system column that names the transaction which wrote a row (PostgreSQL, "System Columns")."""


class All(BaseModel):
    """Every run reads every row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["all"] = "all"


class ByTime(BaseModel):
    """The first run reads every row, each later one what was changed since."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["time"]
    column: str = Field(description="a timestamp that every change sets, such as updated_at; it should have an index")
    lag: Duration = Field(default=600_000, ge=0, description="how long before its first write a change may take it")


class ById(BaseModel):
    """The first run reads every row, each later one what was added since: for rows that never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["id"]
    column: str = Field(description="an integer that grows with every row")
    lag: int = Field(default=1_000, ge=0, description="how many others may be drawn between an id and its first write")


class Liberation(BaseModel):
    """What is freed into one stream."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str = Field(default="", description="the table, as SQL names it: advertisement or shop.advertisement")
    query: str = Field(default="", description="or a query in its place, such as a join")
    key: str | dict[str, str] = Field(description="the column of the key; of a record, the column of each field")
    value: dict[str, str] = Field(min_length=1, description="the column of each field of the value")
    deleted: str = Field(default="", description="a column that is true, or not null, when a row was deleted")
    read: Annotated[All | ByTime | ById, Field(discriminator="by")] = All()
    transaction: str = Field(default="", description="of a query: the column that gives the xmin of its rows")
    page: int = Field(default=50_000, ge=1, description="how many rows a step takes")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.table) == bool(self.query):
            raise ValueError("give either a table or a query")
        if self.table and self.transaction:
            raise ValueError("a table has its own xmin: leave transaction out")
        return self

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that make the key."""
        return (self.key,) if isinstance(self.key, str) else tuple(self.key.values())

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that pages are cut along."""
        return (self.read.column,) if isinstance(self.read, ById) else self.key_columns

    @property
    def writer(self) -> str:
        """The column that names the transaction which wrote a row; empty where that is not known."""
        return XMIN if self.table else self.transaction

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, each once."""
        marks = (self.deleted,) if self.deleted else ()
        grows = () if isinstance(self.read, All) else (self.read.column,)
        return tuple(dict.fromkeys((*self.key_columns, *self.value.values(), *marks, *grows)))

    @property
    def what(self) -> str:
        """What a progress is bound to, for messages."""
        by = "all" if isinstance(self.read, All) else f"{self.read.by} '{self.read.column}'"
        return f"{self.place} by {by}, along '{', '.join(self.order)}'"

    @property
    def section(self) -> str:
        """A hash of all that decides what records are made; the lag and the size of pages do not."""
        content = self.model_dump(mode="json", exclude={"page": True, "read": {"lag"}}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def place(self) -> str:
        """What it is freed from, for messages."""
        return f"table '{self.table}'" if self.table else "query"


def job_of(stream: str) -> str:
    """The name under which a liberation is known, to a broker and in the lineage."""
    return f"{LIBERATE}{stream}"


def liberated(file: Path | None = None) -> tuple[str, ...]:
    """The streams that a file frees, in its order.

    Args:
        file: The file that says it; that of this suite if None.

    Raises:
        AdstreamError: The file is not there or not well formed.
    """
    return tuple(map(str, _sections(file)))


def load(stream: str, file: Path | None = None) -> Liberation:
    """What is freed into a stream.

    Args:
        stream: The name of the stream.
        file: The file that says it; that of this suite if None.

    Raises:
        AdstreamError: The file is not there or not well formed, or does not name the stream.
    """
    where, sections = _where(file), _sections(file)
    section = sections[pick("stream", stream, map(str, sections), where)]
    try:
        return Liberation.model_validate(section)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, (stream, *first["loc"])))
        raise AdstreamError(f"{where}: '{place}' is wrong ({first['msg']})", "correct the file") from None


def _where(file: Path | None) -> str:
    return f"'{file or 'jobs/liberate/tables.yaml'}'"


def _sections(file: Path | None) -> Mapping[str, Any]:
    source: Traversable = TABLES if file is None else file
    where = _where(file)
    try:
        sections: Any = yaml.safe_load(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise AdstreamError(f"{where}: {error.strerror}", "check the path") from None
    except yaml.YAMLError as error:
        raise AdstreamError(f"{where}: not YAML ({' '.join(str(error).split())})", "correct the file") from None
    if not isinstance(sections, dict):
        raise AdstreamError(f"{where}: not a mapping", "write a section a stream")
    return sections


def check(liberation: Liberation, contract: Contract) -> None:
    """Whether what is freed makes records of a contract; the types of columns are the database's to tell.

    Raises:
        AdstreamError: A field has no column, there is no such field, or deletions have no tombstones to become.
    """
    stream = contract.stream
    key, value = contract.arrow.field("key").type, contract.arrow.field("value").type
    given = {"value": (liberation.value, value)}
    if isinstance(liberation.key, dict):
        given["key"] = (liberation.key, key)
    for part, (mapping, kind) in given.items():
        fields = {field.name: field.nullable for field in kind}
        for name in mapping:
            if name not in fields:
                raise AdstreamError(f"stream '{stream}' has no field '{part}.{name}'", nearest(name, fields))
        for name, nullable in fields.items():
            if name not in mapping and not nullable:
                raise AdstreamError(
                    f"stream '{stream}': no column for '{part}.{name}'", "name the column that gives it"
                )
    if liberation.deleted and not contract.meta.tombstones:
        raise AdstreamError(
            f"stream '{stream}' is of events, and an event is not deleted by '{liberation.deleted}'",
            "leave 'deleted' out, or free the rows into an entity stream",
        )
    if not contract.meta.tombstones and not (liberation.writer and isinstance(liberation.read, ById)):
        raise AdstreamError(
            f"stream '{stream}' is of events: read by {liberation.read.by}, {liberation.place} would repeat some",
            "read by id, from a table or from a query that gives its transaction",
        )
