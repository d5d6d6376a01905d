from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.errors import ExitCode
from common.runtime.checkpoint import Checkpoint
from common.runtime.inspection import Flaw
from tests.unit.cli.conftest import Adstream, write


@pytest.fixture
def out(adstream: Adstream, ads: Path, tmp_path: Path) -> Path:
    """The output of a job that has taken two steps and retains both."""
    stream = ("--mode", "stream", "--until-caught-up", "--set", "buckets=4", "--set", "checkpoint.retention=2")
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", tmp_path / "out", *stream)
    assert said.code == 0, said.err
    return tmp_path / "out"


def steps(said: str) -> list[str]:
    return [line.split()[0] for line in said.splitlines()[1:] if line.strip()]


def test_what_is_retained_is_listed_and_no_more(adstream: Adstream, out: Path) -> None:
    said = adstream("checkpoints", "list", "sessions", "--output", out)
    assert steps(said.out) == ["2", "1"]


def test_a_checkpoint_shows_its_place_and_what_operators_hold(adstream: Adstream, out: Path) -> None:
    shown = adstream("checkpoints", "show", "sessions", "--output", out).out
    assert ["ad-views", "2", "1"] in [line.split()[:3] for line in shown.splitlines()]
    (sessions,) = (
        line.split() for line in shown.splitlines() if line.split()[:1] == ["sessions"] and len(line.split()) == 5
    )
    keys, rows, size, files = (int(number.replace(",", "")) for number in sessions[1:])
    assert 0 < keys <= rows and size > 100 and files > 0


def test_a_torn_file_is_named_and_the_job_falls_back_behind_it(adstream: Adstream, ads: Path, out: Path) -> None:
    assert adstream("checkpoints", "verify", "sessions", "--output", out).code == ExitCode.OK
    torn = tear(out / "_checkpoint", "state/000000001/")
    said = adstream("checkpoints", "verify", "sessions", "--output", out)
    assert said.code == ExitCode.DIFFERENT
    assert torn in said.out
    assert "step 1 (retained/000000001.json): " in said.out and "whole" in said.out
    assert said.out.splitlines()[-1] == f"adstream checkpoints delete sessions --output {out} falls back to step 1"
    said = adstream("checkpoints", "delete", "sessions", "--output", out)
    assert "goes on from step 1" in said.out
    again = ("--mode", "stream", "--until-caught-up", "--set", "buckets=4")
    said = adstream("run", "sessions", "--engine", "local", "--input", ads, "--output", out, *again)
    assert said.code == 0, said.err
    assert adstream("checkpoints", "verify", "sessions", "--output", out).code == ExitCode.OK
    assert steps(adstream("checkpoints", "list", "sessions", "--output", out).out)[0] == "2"


def tear(place: Path, folder: str) -> str:
    """Turns a bit in a state file that the last checkpoint of a job names."""
    last = Checkpoint(place).load()
    assert last is not None
    name = next(file for file in last.files() if file.startswith(folder))
    path = place / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return name


def test_a_job_whose_sink_keeps_its_steps_does_not_fall_back_behind_them(
    adstream: Adstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("deltalake")
    rows = tmp_path / "in" / "advertisements"
    for step in range(3):
        write(rows / f"{step}.jsonl", [json.dumps({"key": step, "value": {"name": "a", "type": "Pets"}})])
    out = tmp_path / "out"
    line = ("run", "land", "--engine", "local", "--input", tmp_path / "in", "--output", out, "--mode", "stream")
    line += ("--until-caught-up", "--set", "streams=advertisements", "--set", "checkpoint.retention=3")
    assert adstream(*line).code == 0
    said = adstream("checkpoints", "delete", "land", "--output", out)
    assert said.code == ExitCode.REFUSED
    assert "job 'land' can't go on from step 2 (the sink has steps up to 2" in said.error
    assert said.error.endswith("from a copy, or let the job begin anew (adstream reset land)")
    assert steps(adstream("checkpoints", "list", "land", "--output", out).out) == ["3", "2", "1"]
    assert adstream(*line).code == 0
    monkeypatch.setattr("common.cli.checkpoints.flaws", lambda *_: [Flaw("state/0", "torn")])  # rows leave no state
    said = adstream("checkpoints", "verify", "land", "--output", out)
    assert said.code == ExitCode.DIFFERENT
    assert "can't go on from step 2" in said.out and "falls back" not in said.out
    assert f"adstream checkpoints delete land --output {out} --step 1 drops it" in said.out


def test_an_older_checkpoint_is_deleted_by_its_step(adstream: Adstream, out: Path) -> None:
    adstream("checkpoints", "delete", "sessions", "--output", out, "--step", 1)
    assert steps(adstream("checkpoints", "list", "sessions", "--output", out).out) == ["2"]
    said = adstream("checkpoints", "delete", "sessions", "--output", out)
    assert (said.code, "has no checkpoint before its last one" in said.error) == (ExitCode.REFUSED, True)


def test_what_does_not_come_in_is_named_once(adstream: Adstream, tmp_path: Path) -> None:
    said = adstream("checkpoints", "import", "sessions", "--from", tmp_path, "--checkpoint", tmp_path / "kept")
    assert (
        f"'{tmp_path}/manifest.json' does not describe an exported checkpoint (No such file or directory)" in said.error
    )


def test_a_checkpoint_goes_out_and_comes_in(adstream: Adstream, out: Path, tmp_path: Path) -> None:
    tables, kept = tmp_path / "tables", tmp_path / "kept"
    assert adstream("checkpoints", "export", "sessions", "--output", out, "--to", tables).code == 0
    said = adstream("checkpoints", "import", "sessions", "--from", tables, "--checkpoint", kept, "--set", "buckets=2")
    assert said.code == 0, said.err
    imported, exported = Checkpoint(kept).load(), Checkpoint(out / "_checkpoint").load()
    assert imported is not None and exported is not None
    assert (imported.position, imported.step, len(imported.rounds[0])) == (exported.position, exported.step, 2)
