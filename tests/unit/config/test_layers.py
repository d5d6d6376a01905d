from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from common.config.layers import Layers, pairs, settings
from common.errors import AdstreamError, ExitCode
from jobs.sessions.settings import Settings


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refused(layers: Layers, job: str = "sessions") -> str:
    with pytest.raises(AdstreamError) as caught:
        settings(job, layers)
    assert caught.value.code is ExitCode.REFUSED
    return str(caught.value)


def test_without_layers_there_are_the_defaults() -> None:
    assert settings("sessions", Layers()) == Settings()


NAMES = ("gap", "grace", "out_of_orderness", "buckets")
LAYER = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 1_000))


@given(in_file=LAYER, in_environment=LAYER, on_line=LAYER)
def test_a_higher_layer_overrules_a_lower_one(
    tmp_path_factory: pytest.TempPathFactory,
    in_file: dict[str, int],
    in_environment: dict[str, int],
    on_line: dict[str, int],
) -> None:
    file = tmp_path_factory.getbasetemp() / "layers.yaml"
    file.write_text(yaml.safe_dump({"sessions": in_file}))
    found = settings(
        "sessions",
        Layers(
            file=file,
            environment={f"ADSTREAM_{name.upper()}": str(value) for name, value in in_environment.items()},
            assignments=[f"{name}={value}" for name, value in on_line.items()],
        ),
    )
    assert found == Settings(**{**in_file, **in_environment, **on_line})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "sessions:\n  gap: 10m\n  dedupe: false\n"),
        ("a.yml", "sessions: {gap: 600000, dedupe: no}\n"),
        ("a.toml", '[sessions]\ngap = "10m"\ndedupe = false\n'),
    ],
)
def test_a_file_is_yaml_or_toml_by_its_suffix(tmp_path: Path, name: str, text: str) -> None:
    assert settings("sessions", Layers(written(tmp_path, name, text))) == Settings(gap=600_000, dedupe=False)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "sessions:\n"])
def test_an_empty_file_sets_nothing(tmp_path: Path, text: str) -> None:
    assert settings("sessions", Layers(written(tmp_path, "a.yaml", text))) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "sesions:\n  gap: 1m\n", "unknown section 'sesions': did you mean 'sessions'?"),
        ("a.yaml", "gap: 1m\n", "setting 'gap' stands outside a section: put it below 'sessions'"),
        ("a.yaml", "sessions:\n  gpa: 1m\n", "section 'sessions': unknown setting 'gpa': did you mean 'gap'?"),
        (
            "a.yaml",
            "sessions:\n  7: 1m\n",
            "unknown setting '7': choose one of buckets, checkpoint.interval, checkpoint.mode, checkpoint.retention",
        ),
        ("a.yaml", "sessions: 3\n", "section 'sessions' is not a mapping"),
        ("a.yaml", "sessions:\n  gap: [1]\n", "sessions.gap=[1]: '[1]' is not a duration"),
        ("a.yaml", "sessions:\n  buckets: 0\n", "sessions.buckets=0: it must be greater than or equal to 1"),
        ("a.yaml", "sessions: [\n", "can't be read"),
        ("a.yaml", "- 1\n", "can't be read"),
        ("a.yaml", "1: 2\n", "can't be read"),
        ("a.yaml", b"\xff\xfe\x00", "can't be read"),
        ("a.toml", "[sessions\n", "can't be read"),
        ("a.ini", "[sessions]\n", "unknown suffix '.ini': name it .yaml, .yml or .toml"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    path = written(tmp_path, name, text)
    said = refused(Layers(path))
    assert message in said
    assert str(path) in said


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refused(Layers(tmp_path / "none.yaml")).endswith("none.yaml': no such file: check the path")


def test_a_wrong_variable_is_refused_by_name() -> None:
    assert refused(Layers(environment={"ADSTREAM_GPA": "1m"})) == (
        "environment: unknown variable 'ADSTREAM_GPA': did you mean 'ADSTREAM_GAP'?"
    )
    assert refused(Layers(environment={"ADSTREAM_GAP": "soon"})).startswith(
        "environment: ADSTREAM_GAP=soon: 'soon' is not a duration: write 30m"
    )


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("gpa=1m", "--set gpa=1m: unknown setting 'gpa': did you mean 'gap'?"),
        (
            "out-of-orderness=1m",
            "--set out-of-orderness=1m: unknown setting 'out-of-orderness': did you mean 'out_of_orderness'?",
        ),
        ("gap", "--set gap: not a pair: write --set KEY=VALUE"),
        ("=1", "--set =1: not a pair: write --set KEY=VALUE"),
        ("gap=", "--set gap=: '' is not a duration: write 30m, 90s, 1h30m, 250ms or 2d"),
        ("gap=0", "--set gap=0: it must be greater than 0"),
        ("dedupe=perhaps", "--set dedupe=perhaps: it must be a valid boolean, unable to interpret input"),
        ("parallelism=32769", "--set parallelism=32769: it must be less than or equal to 32768"),
        ("buckets=1.5", "--set buckets=1.5: it must be a valid integer, unable to parse string as an integer"),
    ],
)
def test_a_wrong_assignment_is_refused_by_name(assignment: str, message: str) -> None:
    assert refused(Layers(assignments=[assignment])) == message


def test_a_bad_value_that_a_higher_layer_overrules_does_no_harm() -> None:
    assert (
        settings("sessions", Layers(environment={"ADSTREAM_GAP": "soon"}, assignments=["gap=1m"])).model_dump()["gap"]
        == 60_000
    )


def test_of_two_assignments_to_one_name_the_last_holds() -> None:
    assert pairs("--set", ["gap=1m", "gap = 2m"]) == {"gap": "2m"}


def test_a_value_may_hold_an_equals_sign() -> None:
    assert pairs("--option", ["spark.x=a=b"]) == {"spark.x": "a=b"}


def test_an_unknown_job_is_refused() -> None:
    assert refused(Layers(), job="sesions") == "unknown job 'sesions': did you mean 'sessions'?"


def test_a_variable_that_is_no_setting_is_left_alone() -> None:
    assert settings("sessions", Layers(environment={"ADSTREAM_BROKER": "kafka://h:1"})) == settings(
        "sessions", Layers()
    )
