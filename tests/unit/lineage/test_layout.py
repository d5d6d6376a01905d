from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.lineage.layout import layout

numbers = st.integers(0, 11)
edges = st.lists(st.tuples(numbers, numbers).filter(lambda pair: pair[0] != pair[1]), unique=True, max_size=30)


@given(edges)
def test_nothing_stands_in_anothers_place(pairs: list[tuple[int, int]]) -> None:
    drawn = layout(range(12), pairs)
    taken = [*drawn.places.values(), *(place for way in drawn.ways.values() for place in way)]
    assert drawn.places.keys() == set(range(12))
    assert len(set(taken)) == len(taken)


@given(edges)
def test_without_circles_all_flows_to_the_right_and_passes_every_column(pairs: list[tuple[int, int]]) -> None:
    rising = sorted({(min(pair), max(pair)) for pair in pairs})
    drawn = layout(range(12), rising)
    for start, end in rising:
        first, last = drawn.places[start][0], drawn.places[end][0]
        assert first < last
        assert [column for column, _ in drawn.ways[start, end]] == list(range(first + 1, last))


def test_lines_that_need_not_cross_do_not() -> None:
    drawn = layout(["a", "b", "c", "y", "x", "z"], [("a", "x"), ("b", "y"), ("c", "z")])
    assert [drawn.places[name][1] for name in "xyz"] == [drawn.places[name][1] for name in "abc"]
