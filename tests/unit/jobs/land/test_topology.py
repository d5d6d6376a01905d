"""What the landing job is made of, and what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from common.contracts.contract import load, streams
from common.errors import AdstreamError
from common.topology.checks import check
from common.topology.graph import sinks, tables
from common.topology.render import to_json, to_mermaid
from jobs.land.settings import Settings
from jobs.land.topology import topology


def test_every_stream_can_be_landed() -> None:
    names = [stream for stream in streams() if stream != "dead-letters" and not load(stream).meta.deprecated]
    plan = check(topology(Settings(streams=names)))
    assert plan.sources == tuple(names)
    assert tuple(plan.tables) == (*names, "dead-letters")
    assert len(plan.rounds) == 1 and not plan.timed


def test_settings_are_read_from_a_line() -> None:
    settings = Settings.model_validate({"streams": "ad-clicks, advertisements", "partitions": "advertisements=type"})
    assert settings.streams == ("ad-clicks", "advertisements")
    assert check(topology(settings)).tables == {"ad-clicks": "", "advertisements": "type", "dead-letters": ""}


@pytest.mark.parametrize("partitions", ["advertisements", {"ad-views": "key"}])
def test_partitions_of_nothing_are_refused(partitions: object) -> None:
    with pytest.raises(ValidationError, match=r"write STREAM=COLUMN|is not one of the streams"):
        Settings.model_validate({"streams": "advertisements", "partitions": partitions})


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"streams": "ad-clicsk"}, "land.streams: unknown stream 'ad-clicsk': did you mean 'ad-clicks'?"),
        ({"streams": "ad-clicks,ad-clicks"}, "keeps the table 'ad-clicks' twice"),
        ({"streams": "dead-letters"}, "keeps the table 'dead-letters' twice"),
        ({"streams": "advertisements", "partitions": "advertisements=kind"}, "it has no column 'kind'"),
    ],
)
def test_what_can_not_be_landed_is_refused(settings: dict[str, str], line: str) -> None:
    with pytest.raises(AdstreamError, match=line):
        check(topology(Settings.model_validate(settings)))


def test_tables_are_no_streams() -> None:
    job = topology(Settings(streams=("ad-clicks",)))
    assert sinks(job) == ()
    assert tables(job) == {"ad-clicks": "", "dead-letters": ""}
    assert '[("table ad-clicks")]' in to_mermaid(job)
    drawn = to_json(job)
    assert [found["stream"] for found in drawn["streams"]] == ["ad-clicks"]
    assert [found["stream"] for found in drawn["tables"]] == ["ad-clicks", "dead-letters"]
