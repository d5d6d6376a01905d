from __future__ import annotations

from pathlib import Path

from common.cli.request import Request
from common.cli.run import ordered
from common.runtime.orders import STOPPED, Order, is_ordered, withdrawn

RUN = Request(
    "sessions", "spark", "in", Path("out"), settings={"gap": 1, "parallelism": 2}, options={"master": "local"}
)


def test_an_order_is_taken_once(tmp_path: Path) -> None:
    assert Order.take(tmp_path) is None and not is_ordered(tmp_path)
    Order().give(tmp_path)
    order = Order(goes_on=True, engine="flink", parallelism=3, options={"memory": "1g"})
    order.give(tmp_path)
    assert is_ordered(tmp_path)
    (tmp_path / STOPPED).touch()
    assert Order.take(tmp_path) == order
    assert not is_ordered(tmp_path) and not (tmp_path / STOPPED).exists()
    assert Order.take(tmp_path) is None


def test_what_was_asked_of_an_earlier_run_is_forgotten(tmp_path: Path) -> None:
    Order().give(tmp_path)
    withdrawn(tmp_path)
    assert not is_ordered(tmp_path)
    (tmp_path / "file").touch()
    withdrawn(tmp_path / "file")


def test_another_number_of_tasks_changes_nothing_else() -> None:
    now = ordered(RUN, Order(goes_on=True, parallelism=5))
    assert (now.engine, now.options) == (RUN.engine, RUN.options)
    assert now.settings == {"gap": 1, "parallelism": 5}


def test_another_engine_does_not_get_the_options_of_the_one_before() -> None:
    now = ordered(RUN, Order(goes_on=True, engine="flink"))
    assert (now.engine, now.options, now.settings) == ("flink", {}, RUN.settings)
