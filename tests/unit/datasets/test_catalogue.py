from __future__ import annotations

from pathlib import Path

import pytest

from common.contracts.contract import load
from common.datasets.catalogue import SHARES, CatalogueSettings, generate_catalogue
from common.datasets.output import FileFormat
from common.streams.materialise import digest, records, table

SETTINGS = CatalogueSettings(changes=2_000, advertisements=100, campaigns=20, customers=5, files=4)


@pytest.mark.parametrize("file_format", ["jsonl", "avro", "parquet"])
def test_what_is_told_is_what_is_there(tmp_path: Path, file_format: FileFormat) -> None:
    made = generate_catalogue(SETTINGS, tmp_path, file_format)
    assert sum(made.values()) == 2_000
    for stream in SHARES:
        parts = list(records(tmp_path, stream, load(stream)))
        assert sum(part.num_rows for part in parts) == made[stream]
        assert 0 < sum(part["value"].null_count for part in parts) < made[stream] / 5, "some are deletions"


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    digests = set()
    for number, settings in enumerate((SETTINGS, SETTINGS, SETTINGS.model_copy(update={"seed": 2}))):
        generate_catalogue(settings, tmp_path / f"{number}")
        digests.add(tuple(digest(table(tmp_path / f"{number}", stream, load(stream))) for stream in SHARES))
    assert len(digests) == 2
