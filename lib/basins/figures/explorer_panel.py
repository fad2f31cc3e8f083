"""The explorer's lower half: what the page holds of the minimum that was clicked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import (
    ColorBar,
    Column,
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    DataTable,
    Div,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogColorMapper,
    Row,
    ScientificFormatter,
    StringFormatter,
    TableColumn,
)
from bokeh.plotting import figure
from matplotlib.colors import to_hex
from matplotlib.pyplot import get_cmap

from basins.figures.decision_boundaries import SATURATED
from basins.figures.explorer_details import Details
from basins.figures.explorer_overview import NOTHING, Overview
from basins.figures.explorer_room import MOST_DETAIL_BYTES, MOST_EXAMPLES
from basins.figures.of_planes import loss_range
from basins.figures.spectral_density import DECADES

SHOW = Path(__file__).with_name("explorer_show.js")
NUM_COLORS = 256
SIZE: dict[str, Any] = {"width": 345, "height": 345}
# A column of the page's details that is there if the study asks for what a view shows.
TOLD_BY = {
    "boundary": "boundary",
    "plane": "plane",
    "spectrum": "spectrum_x",
    "curve": "curve",
    "flatness": "flatness",
}
WORDS: dict[str, Any] = {
    "nothing": "Nothing is chosen yet: click a point of the plot or a row of the table.",
    "left_out": "Left out, to keep the page small: it holds at most "
    f"{MOST_DETAIL_BYTES // 1_000_000} MB of such details. The cube has it.",
    "boundary": {
        "drawn": "The decision boundary (black) in the plane of inputs. Colours: how far class 1 "
        f"leads class 0, full at {SATURATED:g}. Dots: examples it was trained on, the first "
        f"{MOST_EXAMPLES} at most; those of class 1 are blue.",
        "unasked": "No decision boundary: the study does not ask for any (measure.boundaries).",
        "missing": "No decision boundary was measured of this minimum",
    },
    "plane": {
        "drawn": "The loss in a random plane through the minimum, which is in the middle, in the "
        "landscape it was trained in; distances in norms of its filters. Red: the chosen "
        "threshold.",
        "unasked": "No loss plane: the study does not ask for any (measure.planes).",
        "missing": "No loss plane was measured of this minimum",
    },
    "spectrum": {
        "drawn": "The density of the Hessian's eigenvalues, in the landscape it was trained in and "
        "of the test loss, smoothed over a tenth of a decade.",
        "unasked": "No spectrum: the study does not ask for any (measure.flatness: spectrum).",
        "missing": "No spectrum was measured of this minimum",
    },
    "curve": {
        "drawn": "The training loss by epoch.",
        "unasked": "No training curve: the cube holds none.",
        "missing": "No training curve: this minimum has no positive losses to draw",
    },
    "flatness": {
        "drawn": "Its measures of flatness, in the landscape it was trained in where they depend "
        "on one.",
        "unasked": "No measures of flatness: the study does not ask for any (measure.flatness).",
        "missing": "No flatness was measured of this minimum",
    },
}


@dataclass(frozen=True)
class View:
    """A plot of the chosen minimum, and the data of its parts by name."""

    plot: figure
    sources: dict[str, ColumnDataSource]


def panel(upper: Overview, details: Details) -> Column:
    """Return the lower half, which follows what is selected in the upper one."""
    views = {
        "boundary": _boundary(details),
        "plane": _plane(details),
        "spectrum": _spectrum(details.scale),
        "curve": _curve(),
    }
    heading = Div(render_as_text=True, name="heading", text=WORDS["nothing"])
    notes = {
        name: Div(
            render_as_text=True,
            name=f"{name}-note",
            text="",
            width=SIZE["width"] if name in views else 900,
        )
        for name in TOLD_BY
    }
    table = _table()
    words = {
        name: given | {"is_asked": TOLD_BY[name] in details.columns} if name in TOLD_BY else given
        for name, given in WORDS.items()
    }
    show = CustomJS.from_file(
        SHOW,
        minima=upper.minima,
        details=ColumnDataSource(details.columns, name="details"),
        threshold=upper.threshold,
        heading=heading,
        table=table,
        views={name: {"plot": one.plot, "sources": one.sources} for name, one in views.items()},
        measures={
            "names": [one.name for one in details.measures],
            "units": [one.unit for one in details.measures],
        },
        notes=notes,
        words=words,
    )
    upper.minima.selected.js_on_change("indices", show)
    upper.threshold.js_on_change("value", show)
    shown = [Column(one.plot, notes[name]) for name, one in views.items()]
    return Column(
        heading,
        Row(*shown, styles={"flex-wrap": "wrap"}),
        notes["flatness"],
        table,
        sizing_mode="stretch_width",
    )


def _plot(title: str, name: str, **more: Any) -> figure:
    plot = figure(
        title=title,
        name=name,
        tools="pan,wheel_zoom,box_zoom,reset,save",
        toolbar_location="above",
        visible=False,
        **SIZE | more,
    )
    plot.toolbar.logo = None
    return plot


def _image(plot: figure, details: Details, name: str, mapper: Any) -> ColumnDataSource:
    """Draw the grid of a view, each value in the middle of its cell; return its source."""
    axes = details.grids.get(name, (np.zeros(2), np.zeros(2)))
    starts, lengths = [], []
    for axis in axes:
        step = axis[1] - axis[0]
        starts.append(axis[0] - step / 2)
        lengths.append(axis[-1] - axis[0] + step)
    empty = np.full(tuple(len(axis) for axis in axes[::-1]), np.nan, dtype=np.float32)
    places = dict(zip(("x", "y", "dw", "dh"), ([one] for one in starts + lengths), strict=True))
    source = ColumnDataSource({"image": [empty]} | places, name=f"{name}-image")
    image = plot.image(
        image="image", x="x", y="y", dw="dw", dh="dh", color_mapper=mapper, source=source
    )
    plot.add_tools(
        HoverTool(renderers=[image], tooltips=[("at", "$x, $y"), ("value", "@image{0.000e+0}")])
    )
    plot.add_layout(ColorBar(color_mapper=mapper, width=10), "right")
    plot.grid.visible = False
    plot.x_range.range_padding = plot.y_range.range_padding = 0
    plot.x_range.renderers = plot.y_range.renderers = [image]
    return source


def _colors(name: str) -> list[str]:
    palette = get_cmap(name)
    return [to_hex(palette(share)) for share in np.linspace(0, 1, NUM_COLORS)]


def _lines(name: str) -> ColumnDataSource:
    # Of something that is never seen a plot can make its axes.
    return ColumnDataSource({"x": [1.0, 2.0], "y": [1.0, 2.0]}, name=name)


def _boundary(details: Details) -> View:
    plot = _plot("Decision boundary", "boundary")
    mapper = LinearColorMapper(
        _colors("RdBu"), low=-SATURATED, high=SATURATED, nan_color="lightgrey"
    )
    image = _image(plot, details, "boundary", mapper)
    line = _lines("boundary-line")
    plot.line(x="x", y="y", source=line, color="black", line_width=1.5)
    points = ColumnDataSource({"x": [0.0], "y": [0.0], "label": [0.0]}, name="boundary-points")
    classes = LinearColorMapper(["darkred", "midnightblue"], low=0, high=1)
    plot.scatter(
        x="x",
        y="y",
        source=points,
        size=6,
        line_color="white",
        fill_color={"field": "label", "transform": classes},
    )
    plot.xaxis.axis_label, plot.yaxis.axis_label = "first number of an input", "second number"
    return View(plot, {"image": image, "line": line, "points": points})


def _plane(details: Details) -> View:
    plot = _plot("Loss plane (nat)", "plane")
    shown = [values.ravel() for values in details.columns.get("plane", []) if len(values)]
    low, high = loss_range(xr.DataArray(np.concatenate(shown) if shown else np.zeros(0)))
    mapper = LogColorMapper(_colors("viridis"), low=low, high=high, nan_color="lightgrey")
    image = _image(plot, details, "plane", mapper)
    line = _lines("plane-line")
    plot.line(x="x", y="y", source=line, color="red", line_width=2)
    plot.scatter(x=[0], y=[0], marker="cross", size=10, line_color="black")
    plot.xaxis.axis_label, plot.yaxis.axis_label = "first direction (filter norms)", "second"
    return View(plot, {"image": image, "line": line})


def _spectrum(scale: float) -> View:
    plot = _plot("Spectrum of the Hessian", "spectrum", y_axis_type="log")
    own, test = _lines("spectrum-own"), _lines("spectrum-test")
    dark, light = map(to_hex, _two_colors())
    plot.line(x="x", y="y", source=own, color=dark, line_width=2, legend_label="own landscape")
    plot.line(
        x="x",
        y="y",
        source=test,
        color=light,
        line_width=2,
        line_dash="dashed",
        legend_label="test loss",
    )
    powers = np.arcsinh(10.0 ** np.arange(1, DECADES + 1, 2))
    plot.xaxis.ticker = FixedTicker(ticks=[*-powers[::-1], 0, *powers])
    plot.xaxis.formatter = CustomJSTickFormatter(
        args={"scale": scale},
        code="return tick === 0 ? '0' : (scale * Math.sinh(tick)).toExponential(0)",
    )
    plot.xaxis.axis_label = "eigenvalue (nat per squared unit)"
    plot.yaxis.axis_label = "density (share per unit of eigenvalue)"
    legend = plot.legend[0]
    legend.label_text_font_size, legend.orientation = "8pt", "horizontal"
    plot.add_layout(legend, "below")
    return View(plot, {"own": own, "test": test})


def _two_colors() -> list[Any]:
    palette = get_cmap("viridis")
    return [palette(0.0), palette(0.7)]


def _curve() -> View:
    plot = _plot("Training", "curve", y_axis_type="log")
    line = _lines("curve-line")
    plot.line(x="x", y="y", source=line, color=to_hex(_two_colors()[0]), line_width=2)
    plot.xaxis.axis_label, plot.yaxis.axis_label = "epoch", "training loss (nat)"
    return View(plot, {"line": line})


def _table() -> DataTable:
    number = ScientificFormatter(precision=4, nan_format=NOTHING, text_align="right")
    text = StringFormatter()
    listed: list[tuple[str, str, Any, int]] = [
        ("name", "measure", text, 480),
        ("value", "value", number, 110),
        ("error", "standard error", number, 110),
        ("unit", "unit", text, 260),
    ]
    return DataTable(
        source=ColumnDataSource({name: [] for name, *_ in listed}),
        columns=[
            TableColumn(field=name, title=title, formatter=formatter, width=width)
            for name, title, formatter, width in listed
        ],
        index_position=None,
        reorderable=False,
        autosize_mode="none",
        width=980,
        height=420,
        visible=False,
        name="flatness",
    )
