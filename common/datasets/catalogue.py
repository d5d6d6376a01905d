"""The tables of a catalogue made up to any size: advertisements, their campaigns, and the customers who pay for them.

Rows come, change, turn to another row and are deleted, in any order: a row may come before the one that it refers to,
or refer to one that never comes. Seeded, so the same settings give the same files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from common.contracts.contract import load
from common.datasets.generate import TYPES
from common.datasets.output import FileFormat, StreamsOutput

Ints = npt.NDArray[np.int64]

ADVERTISEMENTS, CAMPAIGNS, CUSTOMERS = "advertisement-rows", "campaign-rows", "customer-rows"
SHARES = {ADVERTISEMENTS: 0.8, CAMPAIGNS: 0.15, CUSTOMERS: 0.05}
"""What part of the changes each table has."""
COUNTRIES = pa.array(["AT", "BR", "CH", "DE", "FR", "GB", "IN", "JP", "NG", "US"])
REFERENCES = {ADVERTISEMENTS: ("campaignId", CAMPAIGNS), CAMPAIGNS: ("customerId", CUSTOMERS)}


class CatalogueSettings(BaseModel):
    """How large the tables are, and how their rows change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    changes: int = Field(default=20_000, ge=1, description="how many records the three streams have together")
    advertisements: int = Field(default=2_000, ge=1, description="how many ids of advertisements there are")
    campaigns: int = Field(default=200, ge=1, description="how many ids of campaigns there are")
    customers: int = Field(default=50, ge=1, description="how many ids of customers there are")
    files: int = Field(default=10, ge=1, le=1_000_000, description="how many files each stream has: steps of a run")
    deleted: float = Field(default=0.05, ge=0, le=1, description="share of the changes that delete a row")
    unrelated: float = Field(default=0.1, ge=0, le=1, description="share of the rows that refer to nothing")
    seed: int = Field(default=1, ge=0, description="the same seed and settings give the same streams")

    def ids(self, stream: str) -> int:
        """How many ids a table has."""
        return {ADVERTISEMENTS: self.advertisements, CAMPAIGNS: self.campaigns, CUSTOMERS: self.customers}[stream]


def generate_catalogue(settings: CatalogueSettings, output: Path, file_format: FileFormat = "jsonl") -> dict[str, int]:
    """Makes `advertisement-rows`, `campaign-rows` and `customer-rows`.

    Args:
        settings: What to make.
        output: The folder that gets a folder a stream.
        file_format: What the streams' files are.

    Returns:
        How many records each stream has.

    Raises:
        AdstreamError: The format is unknown, or the streams are already there.
    """
    rng = np.random.default_rng(settings.seed)
    made = dict.fromkeys(SHARES, 0)
    bounds = np.linspace(0, settings.changes, settings.files + 1).astype(np.int64)
    with StreamsOutput(output, tuple(SHARES), file_format) as out:
        for size in np.diff(bounds):
            for stream, count in zip(SHARES, rng.multinomial(size, list(SHARES.values())), strict=True):
                out.write(stream, changes(rng, settings, stream, int(count)))
                made[stream] += int(count)
            out.next_file()
    return made


def changes(rng: np.random.Generator, settings: CatalogueSettings, stream: str, count: int) -> pa.Table:
    """Some records of a table, each of a random row."""
    ids = rng.integers(0, settings.ids(stream), count)
    version = pa.array(rng.integers(0, 1_000, count)).cast(pa.string())
    names = pc.binary_join_element_wise(stream.partition("-")[0], pa.array(ids).cast(pa.string()), version, "-")
    columns = {"name": names, **_told(rng, settings, stream, ids)}
    schema = load(stream).arrow
    fields = list(schema.field("value").type)
    gone = pa.array(rng.random(count) < settings.deleted)
    value = pa.StructArray.from_arrays([columns[field.name] for field in fields], fields=fields, mask=gone)
    return pa.table([pa.array(ids), value], schema=schema)


def _told(rng: np.random.Generator, settings: CatalogueSettings, stream: str, ids: Ints) -> dict[str, pa.Array]:
    """What a table tells beside the name."""
    if stream == CUSTOMERS:
        limits = pa.array(rng.integers(1, 100, len(ids)) * 10_000)
        return {"country": COUNTRIES.take(pa.array(ids % len(COUNTRIES))), "creditLimit": limits}
    column, of = REFERENCES[stream]
    # The square of a uniform number: a few targets have most of what refers to them.
    popular = (rng.random(len(ids)) ** 2 * settings.ids(of)).astype(np.int64)
    references = {column: pa.array(popular, mask=rng.random(len(ids)) < settings.unrelated)}
    return references if stream == CAMPAIGNS else {**references, "type": TYPES.take(pa.array(ids % len(TYPES)))}
