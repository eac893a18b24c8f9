"""The style of all figures, and their encoding as SVG and PDF: equal figures give equal bytes.

Figures are made with matplotlib's object interface, so no global figure exists and no global setting stays changed. The
SVG carries its own rule for dark displays: ink and frame change colour, the samplers' colours do not.
"""

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from latflow.errors import UsageError

INK = "#1f2328"
"""Text, ticks and frames; the dark rule replaces exactly this colour."""

FAINT = "#8c959f"
"""Guides, grids and theory lines: legible on light and dark paper."""

COLUMN_INCHES = 3.5
"""Width of a single-column figure: printed at this size the text is 8 points."""

PAGE_INCHES = 5.0
"""Width of a wide figure: one and a half columns, so that its text still reads on a phone."""

_RULES: dict[Any, Any] = {
    "figure.dpi": 200,
    "savefig.transparent": True,
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "mathtext.fontset": "dejavusans",
    "axes.labelsize": 8.5,
    "axes.titlesize": 8.5,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.width": 0.5,
    "ytick.minor.width": 0.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.handlelength": 1.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.0,
    "errorbar.capsize": 1.8,
    "svg.fonttype": "path",
    "svg.hashsalt": "latflow",
    "pdf.fonttype": 3,
}

_DARK = {INK: "#d1d7de", "#0072b2": "#4aa3df"}
"""Colours that are too dark for dark paper, as they are written in the SVG, and what replaces them there."""

_DARK_RULE = (
    "@media (prefers-color-scheme: dark){"
    + "".join(
        f'[style*="{part}: {light}"]{{{part}:{dark} !important}}'
        for light, dark in _DARK.items()
        for part in ("stroke", "fill")
    )
    + "}"
)


_GAP_PIXELS = 3


@dataclass(frozen=True)
class Picture:
    """A finished figure with its words.

    Attributes:
        name: File name without suffix, also the anchor in the report.
        title: Heading.
        caption: What is plotted, with definitions.
        alt: What a reader who cannot see it should know, numbers included.
        svg: Image for screens.
        pdf: Image for papers.
        wide: Whether it takes the full width of the page.
    """

    name: str
    title: str
    caption: str
    alt: str
    svg: bytes
    pdf: bytes
    wide: bool = False

    @property
    def width(self) -> int:
        """Natural width in CSS pixels."""
        return round(96 * (PAGE_INCHES if self.wide else COLUMN_INCHES))

    @property
    def height(self) -> int:
        """Natural height in CSS pixels, in the proportion of the image."""
        box = re.search(rb'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', self.svg)
        return round(self.width * float(box[2]) / float(box[1])) if box else self.width

    @property
    def data_uri(self) -> str:
        """The SVG as a data URI: an image of its own, so that no two figures share identifiers."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode("ascii")


@dataclass(frozen=True)
class Omitted:
    """A figure that this run cannot give, and why.

    Attributes:
        name: As the picture's.
        title: As the picture's.
        reason: What is missing.
    """

    name: str
    title: str
    reason: str


@contextmanager
def style() -> Iterator[None]:
    """The style of all figures; previous settings are restored on leaving."""
    with mpl.rc_context(_RULES):
        yield


def single_axes(*, height: float = 2.5, above: float = 0.12, left: float = 0.66) -> tuple[Figure, Axes]:
    """One set of axes of a single column's width, margins fixed in inches so that neighbours align.

    Args:
        height: Of the whole figure.
        above: Room over the axes: `ONE_ROW` or `TWO_ROWS` for a legend, `SECOND_AXIS` for a scale.
        left: Room for the ordinate's label and numbers.
    """
    below, right = 0.46, 0.1
    figure = Figure(figsize=(COLUMN_INCHES, height))
    width = COLUMN_INCHES - left - right
    box = (left / COLUMN_INCHES, below / height, width / COLUMN_INCHES, (height - below - above) / height)
    return figure, figure.add_axes(box)


ONE_ROW, TWO_ROWS, SECOND_AXIS = 0.27, 0.43, 0.46
"""Inches over the axes for a legend of one row, of two rows, or for a second scale."""


def encode(figure: Figure) -> tuple[bytes, bytes]:
    """The figure as SVG (with the rule for dark displays) and as PDF; neither contains a date.

    Returns:
        SVG bytes and PDF bytes; equal figures give equal bytes.
    """
    _make_room(figure)
    svg = _saved(figure, "svg", {"Date": None, "Creator": None}).decode("utf-8")
    svg = svg.replace("</style>", f"{_DARK_RULE}</style>", 1)
    pdf = _saved(figure, "pdf", {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None})
    return svg.encode("utf-8"), pdf


def encode_as(figure: Figure, kind: str) -> bytes:
    """The figure in one format; SVG has the rule for dark displays, and none contains a date.

    Args:
        figure: The figure.
        kind: ``svg``, ``pdf`` or ``png``, the latter with 200 points per inch.

    Raises:
        UsageError: For another format.
    """
    require_kind("format", kind)
    if kind != "png":
        return encode(figure)[("svg", "pdf").index(kind)]
    _make_room(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    return buffer.getvalue()


def require_kind(name: str, kind: str) -> None:
    """Refuse what no figure can be written as.

    Raises:
        UsageError: Naming what can.
    """
    if kind not in KINDS:
        raise UsageError(name, value=repr(kind), allowed=", ".join(KINDS))


KINDS = ("svg", "pdf", "png")
"""Formats of figures."""

_PNG_DPI = 200


def _make_room(figure: Figure) -> None:
    """Shrink the axes where wide numbers push a label off the paper or a long legend reaches into the axes."""
    figure.draw_without_rendering()
    boxes = [box for axes in figure.axes if (box := axes.get_tightbbox()) is not None]
    outside = max((-box.x0 for box in boxes), default=0.0)
    start = min((axes.get_window_extent().x0 for axes in figure.axes), default=0.0)
    squeeze = 1 - (outside + _GAP_PIXELS) / (figure.bbox.width - start) if outside > 0 else 1.0
    floor = min((legend.get_window_extent().y0 for legend in figure.legends), default=figure.bbox.height)
    reaching = max((axes.get_window_extent().y1 for axes in figure.axes), default=0.0) - floor
    lower = (reaching + _GAP_PIXELS) / figure.bbox.height if reaching > 0 else 0.0
    for axes in figure.axes if outside > 0 or reaching > 0 else ():
        box = axes.get_position()
        left, right = (1 - (1 - edge) * squeeze for edge in (box.x0, box.x1))
        axes.set_position((left, box.y0, right - left, box.height - lower))


def readable_log(axis: Axis) -> None:
    """Plain numbers at 1, 2, 5 on a logarithmic axis that spans less than two decades; powers of ten otherwise."""
    low, high = sorted(axis.get_view_interval())
    if low <= 0 or high / low >= 100:
        return
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def legend_above(figure: Figure, axes: Axes, *, columns: int) -> None:
    """A frameless legend in the room over the axes, where it can never hide a point."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="upper left",
        bbox_to_anchor=(0.02, 1.0),
        ncols=columns,
        borderaxespad=0.2,
        columnspacing=1.1,
        handletextpad=0.5,
        labelspacing=0.3,
    )


def _saved(figure: Figure, suffix: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, metadata=metadata)
    return buffer.getvalue()
