from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from common.config.jobs import settings_type
from common.errors import AdstreamError
from common.lineage import runs
from common.lineage.runs import Mail, State, configured, dataset, run_of, table, told
from common.runtime.spec import JobSpec


def spec(**given: str) -> JobSpec:
    places = {"input": "/in", "output": "/out", "checkpoint": "/out/_checkpoint", **given}
    settings = settings_type("sessions")().model_dump()
    return JobSpec("sessions", "spark", "batch", settings=settings, **places)  # type: ignore[arg-type]


def test_streams_of_a_folder_are_its_folders() -> None:
    run = run_of(spec())
    assert [(each.namespace, each.name) for each in run.inputs] == [("file", "/in/ad-views"), ("file", "/in/ad-clicks")]
    assert [each.name for each in run.outputs] == ["/out/ad-sessions", "/out/late-events", "/out/dead-letters"]
    assert (run.engine, run.streaming, run.job.owner) == ("spark", False, "behaviour")


def test_streams_of_a_broker_are_its_topics_and_nothing_else_of_the_address_is_told() -> None:
    run = run_of(spec(input="kafka://b1:9092,b2:9092?registry=http://r&user=ann", sink="kafka://s:1?registry=http://r"))
    assert {each.namespace for each in run.inputs} == {"kafka://b1:9092"}
    assert {each.namespace for each in run.outputs} == {"kafka://s:1"}
    assert [each.name for each in run.inputs] == ["ad-views", "ad-clicks"]


def test_a_table_is_told_without_the_login() -> None:
    found = table("postgresql://ann:secret@db:5433/shop", "advertisement")
    assert (found.namespace, found.name) == ("postgres://db:5433", "shop.public.advertisement")
    assert table("postgresql://db/shop", "ads.advertisement").name == "shop.ads.advertisement"
    assert table("postgresql://db/shop", "x").namespace == "postgres://db:5432"


def test_a_dataset_knows_its_contract() -> None:
    contract = dataset("/in", "ad-views").contract
    assert contract is not None
    assert contract.stream == "ad-views"


def test_a_dataset_in_an_object_store_is_named_by_bucket_and_key() -> None:
    found = dataset("s3://lake/ads?endpoint_override=127.0.0.1:1&scheme=http", "ad-views")
    assert (found.namespace, found.name) == ("s3://lake", "ads/ad-views")


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OPENLINEAGE_NAMESPACE": "ads"}, False),
        ({"OPENLINEAGE_URL": ""}, False),
        ({"OPENLINEAGE_URL": "http://x"}, True),
        ({"OPENLINEAGE_CONFIG": "x.yml"}, True),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "console"}, True),
        ({"OPENLINEAGE_URL": "http://x", "OPENLINEAGE_DISABLED": "True"}, False),
    ],
)
def test_events_are_told_only_where_openlineage_is_configured(
    tmp_path: Path, environment: dict[str, str], wanted: bool
) -> None:
    assert configured(environment, tmp_path, tmp_path) == wanted


@pytest.mark.parametrize("place", ["openlineage.yml", "home/.openlineage/openlineage.yml"])
def test_a_file_of_openlineage_configures_it_too(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).touch()
    assert configured({}, tmp_path, tmp_path / "home")


class Receiver:
    """Takes events; one that is told to refuse some raises for them."""

    def __init__(self, refused: tuple[State, ...] = ()) -> None:
        self.refused = refused
        self.taken: list[tuple[State, str]] = []

    def tell(self, state: State, reason: str = "") -> None:
        if state in self.refused:
            raise OSError(f"no room\nfor {state}")
        self.taken.append((state, reason))


def test_events_are_taken_in_order() -> None:
    receiver, warnings = Receiver(), list[str]()
    mail = Mail(lambda: receiver, warnings.append)
    mail.send("START")
    mail.send("FAIL", "why")
    mail.close()
    assert receiver.taken == [("START", ""), ("FAIL", "why")]
    assert warnings == []


def test_a_receiver_that_fails_is_warned_of_once_until_it_works_again() -> None:
    receiver, warnings = Receiver(refused=("START", "FAIL")), list[str]()
    mail = Mail(lambda: receiver, warnings.append)
    states: tuple[State, ...] = ("START", "FAIL", "COMPLETE", "START")
    for state in states:
        mail.send(state)
    mail.close()
    assert receiver.taken == [("COMPLETE", "")]
    line = "lineage: START was not taken (OSError: no room for START); the job goes on without it"
    assert warnings == [line, line]


def test_a_receiver_that_does_not_answer_is_not_waited_for() -> None:
    hold = threading.Event()

    class Silent:
        def tell(self, state: State, reason: str = "") -> None:
            hold.wait()

    warnings = list[str]()
    mail = Mail(Silent, warnings.append, patience=0.1)
    mail.send("START")
    mail.close()
    hold.set()
    (warning,) = warnings
    assert "has not answered" in warning


def broken() -> Receiver:
    raise ModuleNotFoundError("No module named 'openlineage'", name="openlineage")


def test_a_client_that_is_not_installed_is_a_warning_with_the_remedy() -> None:
    warnings = list[str]()
    mail = Mail(broken, warnings.append)
    mail.send("START")
    mail.close()
    (warning,) = warnings
    assert "openlineage-python is not installed: uv sync --extra lineage" in warning


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A receiver in the place of OpenLineage's client, which is configured."""
    found = Receiver()

    def mail(teller: Callable[[], object], warn: Callable[[str], None]) -> Mail:
        return Mail(lambda: found, warn)

    monkeypatch.setenv("OPENLINEAGE_URL", "http://nowhere")
    monkeypatch.setattr(runs, "Mail", mail)
    return found


@pytest.mark.parametrize(
    ("error", "states"),
    [
        (None, [("START", ""), ("COMPLETE", "")]),
        (AdstreamError("the disk is full", "make room"), [("START", ""), ("FAIL", "the disk is full: make room")]),
        (KeyboardInterrupt(), [("START", ""), ("ABORT", "")]),
    ],
)
def test_the_end_of_a_run_is_told_as_it_was(
    receiver: Receiver, error: BaseException | None, states: list[tuple[str, str]]
) -> None:
    def work() -> None:
        with told(lambda: run_of(spec()), pytest.fail):
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    assert receiver.taken == states
