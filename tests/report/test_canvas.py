import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from latflow.report.canvas import INK, ONE_ROW, Picture, encode, legend_above, readable_log, single_axes, style


def drawing() -> Figure:
    with style():
        figure, axes = single_axes()
        axes.plot([1, 2, 3], [1, 3, 2], color="#0072B2", label="x")
        axes.set_title("title")
        return figure


def test_equal_figures_give_equal_bytes_without_a_date() -> None:
    with style():
        first, second = encode(drawing()), encode(drawing())
    assert first == second
    assert b"CreationDate" not in first[1]
    assert not re.search(rb"<dc:date>|20\d\d-\d\d-\d\d", first[0])


def test_the_house_style_is_given_back() -> None:
    before = dict(mpl.rcParams)
    with style():
        assert mpl.rcParams["svg.hashsalt"] == "latflow"
    assert dict(mpl.rcParams) == before


def test_the_dark_rule_names_colours_that_the_drawing_uses() -> None:
    with style():
        svg = encode(drawing())[0].decode()
    assert ET.fromstring(svg).tag.endswith("svg")
    rule = re.search(r"@media \(prefers-color-scheme: dark\)\{.*?\}\}", svg)
    assert rule is not None
    body = svg.replace(rule[0], "")
    assert f"stroke: {INK}" in rule[0]
    assert f"stroke: {INK}" in body
    assert "stroke: #0072b2" in rule[0]
    assert "stroke: #0072b2" in body


def test_pictures_know_their_size_and_nothing_is_cut_off_by_the_paper() -> None:
    with style():
        svg, pdf = encode(drawing())
    picture = Picture("a", "A", "", "", svg, pdf)
    assert (picture.width, picture.height) == (336, 240)
    assert pdf.startswith(b"%PDF-")


def test_wide_numbers_and_long_legends_make_the_axes_smaller() -> None:
    with style():
        figure, axes = single_axes(above=ONE_ROW)
        for i in range(5):
            axes.plot([1, 2], [-6.9725 - 1e-4 * i, -6.985], label=f"a long name {i}")
        axes.set_ylabel("a label")
        axes.set_yticks([-6.97251, -6.98501], ["−6.972510000", "−6.985010000"])
        legend_above(figure, axes, columns=4)
        encode(figure)
        box, legend = axes.get_tightbbox(), figure.legends[0].get_window_extent()
    assert box is not None
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert axes.get_window_extent().y1 < legend.y0


def test_short_logarithmic_axes_have_plain_numbers() -> None:
    with style():
        _, axes = single_axes()
        axes.set_yscale("log")
        axes.plot([1, 2], [0.03, 0.2])
        readable_log(axes.yaxis)
        labels = {axes.yaxis.get_major_formatter()(tick, None) for tick in axes.yaxis.get_major_locator()()}
        assert {"0.05", "0.1", "0.2"} <= labels
        _, long = single_axes()
        long.set_yscale("log")
        long.plot([1, 2], [1e-4, 1.0])
        readable_log(long.yaxis)
        assert np.allclose(np.log10(long.yaxis.get_major_locator()()) % 1, 0)
