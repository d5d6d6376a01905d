from __future__ import annotations

import pytest

from common.errors import AdstreamError
from common.names import nearest, pick


def test_a_known_name_is_itself() -> None:
    assert pick("engine", "spark", ("local", "spark")) == "spark"


@pytest.mark.parametrize("name", ["sparc", "Spark", "SPARK", "spar"])
def test_an_unknown_name_is_refused_with_the_nearest(name: str) -> None:
    with pytest.raises(AdstreamError, match=f"--engine: unknown engine '{name}': did you mean 'spark'?"):
        pick("engine", name, ("local", "spark"), "--engine")


def test_far_from_all_it_gives_the_choice() -> None:
    assert nearest("kafka-streams", ("spark", "local")) == "choose one of local, spark"


def test_dashes_and_underscores_are_near() -> None:
    assert nearest("out-of-orderness", ("out_of_orderness",)) == "did you mean 'out_of_orderness'?"


def test_of_nothing_there_is_none() -> None:
    assert nearest("x", ()) == "there is none"
