"""Checkpoints in a real object store."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.contracts.contract import load
from common.datasets.generate import generate
from common.datasets.settings import GeneratorSettings
from common.engines.registry import available
from common.errors import ExitCode
from common.storage import storage_at
from common.streams.materialise import digest, table
from tests.integration.conftest import Adstream
from tests.unit.storages import check_storage

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

STREAMS = ("ad-views", "ad-clicks", "advertisements")
ANSWERS = ("ad-sessions", "ad-engagements")


def test_an_object_store_is_a_storage(place: str) -> None:
    check_storage(storage_at(place))


def test_of_two_that_claim_at_the_same_moment_both_are_told_who_was_first(place: str) -> None:
    both, names = threading.Barrier(2), [f"plans/{number}" for number in range(100)]

    def claimed(who: bytes) -> list[bytes]:
        storage, stand = storage_at(place), []
        for name in names:
            both.wait()
            stand.append(storage.claim(name, who))
        return stand

    with ThreadPoolExecutor(2) as copies:
        one, other = copies.map(claimed, (b"one", b"other"))
    assert one == other
    assert one == [storage_at(place).read(name).to_pybytes() for name in names]


@pytest.mark.parametrize("engine", ["local", pytest.param("spark", marks=(pytest.mark.recovery, pytest.mark.spark))])
def test_a_job_goes_on_elsewhere_from_an_object_store(
    engine: str, place: str, adstream: Adstream, tmp_path: Path
) -> None:
    if (reason := available(engine)) is not None:
        pytest.skip(reason)
    ads, arrived, out = tmp_path / "ads", tmp_path / "in", tmp_path / "out"
    generate(GeneratorSettings(events=1_500, users=100, files=4, malformed=0.0), ads, "parquet")
    block = ("--set", f"checkpoint.storage={place}", "--set", "checkpoint.retention=2", "--set", "buckets=4")
    line = ("run", "billing", "--engine", engine, "--mode", "stream", *block)
    for part, options in ((range(2), ("--until-caught-up",)), (range(2, 4), ("--drain",))):
        for stream in STREAMS:
            (arrived / stream).mkdir(parents=True, exist_ok=True)
            for number in part:
                path = sorted((ads / stream).iterdir())[number]
                (arrived / stream / path.name).symlink_to(path)
        # Another machine knows nothing of the first one's folder.
        shutil.rmtree(out / "_checkpoint", ignore_errors=True)
        said = adstream(*line, "--input", arrived, "--output", out, *options)
        assert said.code == 0, said.err
    assert not (out / "_checkpoint" / "state").exists()
    assert adstream("checkpoints", "verify", "billing", "--output", out).code == 0
    whole = ("run", "billing", "--engine", "local", "--input", ads, "--output", tmp_path / "whole")
    assert adstream(*whole).code == 0
    for stream in ANSWERS:
        assert digest(table(out, stream, load(stream))) == digest(table(tmp_path / "whole", stream, load(stream)))


def test_a_torn_object_is_named(place: str, adstream: Adstream, tmp_path: Path) -> None:
    ads, out = tmp_path / "ads", tmp_path / "out"
    generate(GeneratorSettings(events=300, users=50, files=1, malformed=0.0), ads, "parquet")
    line = ("run", "sessions", "--engine", "local", "--mode", "stream", "--until-caught-up", "--set", "buckets=2")
    said = adstream(*line, "--input", ads, "--output", out, "--checkpoint", place)
    assert said.code == 0, said.err
    storage = storage_at(place)
    torn = next(iter(storage.files("state")))
    storage.write(torn, storage.read(torn).to_pybytes()[:-10])
    said = adstream("checkpoints", "verify", "sessions", "--output", out)
    assert said.code == 1 and torn in said.out


@pytest.mark.parametrize(("key", "secret"), [("nobody", "right"), ("writer", "wrong")])
def test_wrong_credentials_are_refused_and_not_waited_for(
    guarded: str, adstream: Adstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, secret: str
) -> None:
    ads = tmp_path / "ads"
    generate(GeneratorSettings(events=300, users=50, files=1, malformed=0.0), ads, "parquet")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    line = ("run", "sessions", "--engine", "local", "--mode", "stream", "--until-caught-up", "--input", ads)
    said = adstream(*line, "--output", tmp_path / "out", "--checkpoint", guarded)
    assert said.code is ExitCode.REFUSED and "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said.err, said.err
    assert "trying again" not in said.err
