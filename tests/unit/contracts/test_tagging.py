from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from common.contracts.contract import Tags, load, load_from
from common.contracts.tagging import fields, retag
from common.errors import AdstreamError

STREAMS = Path(__file__).parents[3] / "common" / "contracts" / "streams"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the contracts, to be written to."""
    return shutil.copytree(STREAMS, tmp_path / "streams")


def test_fields_are_the_paths_of_keys_and_values() -> None:
    assert fields(load("ad-sessions").arrow) == (
        "key",
        "key.window",
        "key.window.start",
        "key.window.end",
        "key.userId",
        "value",
        "value.actions",
        "value.actions.eventTime",
        "value.actions.advertisementId",
        "value.actions.action",
    )


def test_every_tag_of_the_contracts_names_a_field() -> None:
    for folder in STREAMS.iterdir():
        contract = load(folder.name)
        tagged = {*contract.meta.tags.pii, *contract.meta.tags.financial}
        assert tagged <= set(fields(contract.arrow)), folder.name


def test_tags_are_added_and_taken_away(root: Path) -> None:
    after = retag("ad-sessions", {"financial": {"value.actions"}}, {"pii": {"key.userId"}}, root)
    assert after == Tags(pii=("value.actions",), financial=("value.actions",))
    assert load_from(root, "ad-sessions").meta.tags == after


def test_the_rest_of_the_file_stays_as_it_was_written(root: Path) -> None:
    path = root / "advertisements" / "stream.yaml"
    path.write_text(before := "# Whoever changes this tells billing.\n" + path.read_text())
    retag("advertisements", {"financial": {"value.name"}}, {}, root)
    added = "tags:\n  financial: [value.name]\n"
    assert path.read_text() == before.replace("partitions:", added + "partitions:")
    retag("advertisements", {}, {"financial": {"value.name"}}, root)
    assert path.read_text() == before


def test_nothing_is_written_when_nothing_changes(root: Path) -> None:
    path = root / "ad-views" / "stream.yaml"
    before = path.stat().st_mtime_ns
    assert retag("ad-views", {"pii": {"key"}}, {}, root) == Tags(pii=("key",))
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("add", "problem"),
    [
        ({"secret": {"key"}}, "unknown tag 'secret': choose one of financial, pii"),
        ({"pii": {"value.usrId"}}, "stream 'ad-views': unknown field 'value.usrId'"),
    ],
)
def test_an_unknown_tag_or_field_is_refused(root: Path, add: dict[str, set[str]], problem: str) -> None:
    with pytest.raises(AdstreamError) as refused:
        retag("ad-views", add, {}, root)
    assert str(refused.value).startswith(problem)
