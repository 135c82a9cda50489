"""The figures of routes closed alone, in pairs and together, on a table known by hand."""

import pytest

import toy_tables
from reproduction import figures
from reproduction.figures.routes import CONTROL

LABELS = ["all layers", "the paper's layers, scaled", "the model's own layers", CONTROL]


def drawn(panel):
    """By legend the x values of each series, and the ends of their intervals."""
    found = {}
    for container in panel.containers:
        points, _, [bars] = container.lines
        ends = [sorted(segment[:, 0]) for segment in bars.get_segments()]
        found[container.get_label().removesuffix(" (6)")] = list(points.get_xdata()), ends
    return found


def test_following_is_where_it_should_be():
    figure = figures.fig_routes(toy_tables.routes())
    left, right = figure.axes
    labels = [tick.get_text() for tick in left.get_yticklabels()]
    assert labels == [
        "nothing",
        "own→instruction",
        "instruction→last",
        "own→last",
        "own→instruction + instruction→last",
        "own→instruction + own→last",
        "instruction→last + own→last",
        "all together",
    ]
    for panel in (left, right):
        found = drawn(panel)
        assert list(found) == LABELS
        assert found["all layers"][0] == [1, 1, 1, 1, 1, 1, 0, 0]
        assert found[CONTROL][0] == [1] * 7, "nothing closed has no control"
        assert panel.get_title("right") == "n = 4 samples"
    assert [text.get_text() for text in figure.legends[0].get_texts()][0] == LABELS[0]


def test_intervals_are_those_of_the_numbers():
    table = toy_tables.routes()
    one = (table["routes"] == "own→last") & (table["sample"] == "s0") & ~table["control"]
    table.loc[one, "follows"] = 0.0
    points, ends = drawn(figures.fig_routes(table).axes[0])["all layers"]
    assert points[3] == 0.75 and ends[3][0] < 0.75 < ends[3][1] <= 1


def test_interactions_are_where_they_should_be():
    figure = figures.fig_interaction(toy_tables.routes())
    for panel in figure.axes:
        found = drawn(panel)
        assert list(found) == LABELS
        assert found["the model's own layers"][0] == [0, 0, 8]
        assert found[CONTROL][0] == [1, 1, 1], "one nat in pairs"


def test_a_direction_without_samples_says_so():
    table = toy_tables.routes()
    for draw in (figures.fig_routes, figures.fig_interaction):
        figure = draw(table[table["following"] == "text"])
        assert "not measured: no samples" in [text.get_text() for text in figure.axes[1].texts]
    with pytest.raises(ValueError, match="missing: follows"):
        figures.fig_routes(table.drop(columns="follows"))
