"""The explorer's upper half: filters, volume against accuracy, and the table of minima."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import (
    CDSView,
    Column,
    ColumnDataSource,
    CustomJS,
    DataTable,
    Div,
    HoverTool,
    IndexFilter,
    Legend,
    LegendItem,
    MultiSelect,
    NumberFormatter,
    Row,
    ScientificFormatter,
    Select,
    StringFormatter,
    TableColumn,
    TapTool,
)
from bokeh.plotting import figure
from matplotlib.colors import to_hex

from basins.cube.variable import MINIMUM, VOLUME_STATUS
from basins.figures import style
from basins.figures.explorer_minima import Minima, in_words

CHOOSE = Path(__file__).with_name("explorer_choose.js")
MARKERS = ("circle", "square", "diamond", "triangle", "inverted_triangle", "star", "hex", "plus")
FILTERS = ("model", "dataset", "recipe", "train_size", "training_status")
MOST_LEGEND = 16  # colours named beside the plot; there is no room for more
NOTHING = "-"


@dataclass(frozen=True)
class Overview:
    """The upper half, and what the lower one listens to.

    Attributes
    ----------
    layout
        All of it.
    minima
        A row a minimum; what is selected in it is selected everywhere.
    threshold
        The choice of a threshold, whose value is its place in the cube.
    choose
        What is done after every choice, and when the page is opened.
    """

    layout: Column
    minima: ColumnDataSource
    threshold: Select
    choose: CustomJS


def overview(cube: xr.Dataset, minima: Minima, detail: np.ndarray) -> Overview:
    """Return plot, table and their filters.

    Parameters
    ----------
    cube
        Whose axes are chosen from.
    minima
        What is shown.
    detail
        Where the details of each minimum are, -1 where they are not on the page, (minima,).
    """
    part = style.at_threshold(cube, None)
    selects = _selects(cube, part)
    colored, shaped = _told_apart(minima)
    source = ColumnDataSource(
        minima.columns
        | {"detail": detail}
        | _looks(minima, colored, shaped)
        | {"x": 100 * minima.columns["test_accuracy"]}
        # Filled by every choice; the first one is made when the page is opened.
        | {name: np.zeros(len(detail)) for name in (*minima.volumes, "y", "low", "high", "fill")}
        | {"volume_status": [""] * len(detail)}
    )
    shown = IndexFilter(list(range(len(detail))))
    view = CDSView(filter=shown)
    filters = {name: _filter(name, minima.columns[name]) for name in FILTERS}
    count = Div(render_as_text=True, name="count", text="")
    choose = CustomJS.from_file(
        CHOOSE,
        minima=source,
        # All numbers of a basin in one row each, the last axis fastest.
        volumes=ColumnDataSource({k: v.reshape(-1) for k, v in minima.volumes.items()}),
        shown=shown,
        count=count,
        filters=filters,
        sizes=list(minima.volumes["log_volume"].shape[1:]),
        words=in_words(VOLUME_STATUS),
        **selects,
    )
    for control in (*filters.values(), *selects.values()):
        control.js_on_change("value", choose)
    plot = _plot(cube, source, view, (minima, colored, shaped))
    layout = Column(
        Row(*filters.values(), styles={"flex-wrap": "wrap"}),
        Row(*selects.values(), styles={"flex-wrap": "wrap"}),
        count,
        plot,
        _table(source, view),
        sizing_mode="stretch_width",
    )
    return Overview(layout, source, selects["threshold"], choose)


def _selects(cube: xr.Dataset, part: xr.Dataset) -> dict[str, Select]:
    """Return the choices of a basin, set as the figure `volume_by_accuracy` is drawn."""
    landscapes = [(str(i), f"{int(m):,} examples") for i, m in enumerate(cube.landscape_size)]
    thresholds = [(str(i), f"{float(c):g}") for i, c in enumerate(cube.threshold)]
    estimators = [(str(i), str(name)) for i, name in enumerate(cube.estimator.values)]
    kind = cube.threshold_kind.item()
    own = [("own", "own: the examples trained on")]
    at = {
        dim: str(list(cube[dim].values).index(part[dim].item()))
        for dim in ("threshold", "estimator")
    }
    return {
        "landscape": Select(
            title="landscape", options=own + landscapes, value="0", name="landscape", width=220
        ),
        "threshold": Select(
            title=f"threshold ({kind}, nat)",
            options=thresholds,
            value=at["threshold"],
            name="threshold",
            width=160,
        ),
        "estimator": Select(
            title="estimator",
            options=estimators,
            value=at["estimator"],
            name="estimator",
            width=160,
        ),
    }


def _filter(name: str, values: np.ndarray) -> MultiSelect:
    title = name.replace("_", " ") + " (none: all)"
    found = [str(value) for value in np.unique(values)]
    return MultiSelect(
        title=title, options=[(text, text) for text in found], size=4, name=name, width=200
    )


def _told_apart(minima: Minima) -> tuple[str, str]:
    """Return what colours and shapes stand for: recipes and data sets, if there are several."""

    def first(names: tuple[str, ...]) -> str:
        several = [name for name in names if len(np.unique(minima.columns[name])) > 1]
        return several[0] if several else names[0]

    colored = first(("recipe", "train_size", "model"))
    others = [name for name in ("dataset", "train_size", "model") if name != colored]
    return colored, first(tuple(others))


def _looks(minima: Minima, colored: str, shaped: str) -> dict[str, Any]:
    kinds, which = np.unique(minima.columns[colored], return_inverse=True)
    shapes, shape = np.unique(minima.columns[shaped], return_inverse=True)
    colors = np.array([to_hex(color) for color in style.colors(len(kinds))])
    markers = np.array([MARKERS[index % len(MARKERS)] for index in range(len(shapes))])
    return {"color": colors[which], "marker": markers[shape]}


def _plot(
    cube: xr.Dataset,
    source: ColumnDataSource,
    view: CDSView,
    told: tuple[Minima, str, str],
) -> figure:
    plot = figure(
        title="Volume against accuracy: click a point",
        x_axis_label="test accuracy (%)",
        y_axis_label=f"log10 of the volume ({cube.volume_coordinates.item()} coordinates, "
        f"{cube.measure.item()} measure)",
        tools="pan,wheel_zoom,box_zoom,reset,save",
        height=460,
        sizing_mode="stretch_width",
        name="scatter",
    )
    intervals = plot.segment(
        x0="x",
        x1="x",
        y0="low",
        y1="high",
        source=source,
        view=view,
        color="color",
        alpha=0.6,
        nonselection_alpha=0.35,
    )
    points = plot.scatter(
        x="x",
        y="y",
        source=source,
        view=view,
        size=9,
        marker="marker",
        line_color="color",
        fill_color="color",
        fill_alpha="fill",
        nonselection_line_alpha=0.5,
        nonselection_fill_alpha=0.3,
        selection_line_color="red",
        selection_line_width=3,
        name="points",
    )
    plot.add_tools(TapTool(renderers=[points]), HoverTool(renderers=[points], tooltips=_tooltips()))
    plot.x_range.renderers = plot.y_range.renderers = [points, intervals]
    plot.toolbar.logo = None
    plot.add_layout(_legend(plot, *told), "right")
    return plot


def _tooltips() -> list[tuple[str, str]]:
    lines = [(name.replace("_", " "), f"@{name}") for name in (*MINIMUM, "training_status")]
    lines += [
        (name.replace("_", " "), f"@{name}{{0.0000}}")
        for name in ("train_accuracy", "test_accuracy")
    ]
    lines += [
        (
            "log volume (nat)",
            "@log_volume{0,0.0}, @log_volume_low{0,0.0} to @log_volume_high{0,0.0}",
        ),
        ("volume", "@volume_status"),
    ]
    return lines


def _legend(plot: figure, minima: Minima, colored: str, shaped: str) -> Legend:
    """Return what colours and shapes stand for, each on a mark of its own that is not a minimum."""
    items = []

    def add(text: str, **looks: Any) -> None:
        mark = plot.scatter(x=[np.nan], y=[np.nan], size=9, **looks)
        items.append(LegendItem(label={"value": text}, renderers=[mark]))

    kinds = np.unique(minima.columns[colored])
    for kind, color in list(zip(kinds, style.colors(len(kinds)), strict=True))[:MOST_LEGEND]:
        add(str(kind), marker="circle", color=to_hex(color))
    if len(kinds) > MOST_LEGEND:
        add(f"and {len(kinds) - MOST_LEGEND} more", marker="circle", alpha=0.0)
    shapes = np.unique(minima.columns[shaped])
    for index, kind in enumerate(shapes if shaped != colored and len(shapes) > 1 else []):
        add(str(kind), marker=MARKERS[index % len(MARKERS)], line_color="black", fill_alpha=0.0)
    add("filled: calibrated", marker="circle", color="black", fill_alpha=0.8)
    add("hollow: bound or not converged", marker="circle", line_color="black", fill_alpha=0.0)
    title = colored if shaped == colored else f"{colored} (colour), {shaped} (shape)"
    return Legend(
        items=items,
        title=title.replace("_", " "),
        label_text_font_size="8pt",
        title_text_font_size="8pt",
        spacing=0,
        glyph_height=14,
        glyph_width=14,
    )


def _table(source: ColumnDataSource, view: CDSView) -> DataTable:
    text = StringFormatter()
    count = NumberFormatter(format="0,0", text_align="right")
    share = NumberFormatter(format="0.0000", nan_format=NOTHING, text_align="right")
    nats = NumberFormatter(format="0,0.0", nan_format=NOTHING, text_align="right")
    small = ScientificFormatter(precision=3, nan_format=NOTHING, text_align="right")
    listed: list[tuple[str, str, Any, int]] = [
        ("recipe", "recipe", text, 150),
        ("model", "model", text, 110),
        ("dataset", "data set", text, 110),
        ("train_size", "train size", count, 80),
        ("seed", "seed", count, 50),
        ("test_accuracy", "test accuracy", share, 100),
        ("train_accuracy", "train accuracy", share, 100),
        ("generalization_gap", "gap", share, 70),
        ("log_volume", "log volume (nat)", nats, 120),
        ("log_volume_low", "from", nats, 90),
        ("log_volume_high", "to", nats, 90),
        ("volume_status", "volume is", text, 170),
        ("mean_log_radius", "mean log radius", nats.clone(format="0.000"), 110),
        ("censored_fraction", "censored", share, 80),
        ("train_loss", "train loss (nat)", small, 110),
        ("test_loss", "test loss (nat)", small, 110),
        ("weight_norm", "weight norm", small, 100),
        ("gradient_norm", "gradient norm", small, 110),
        ("epochs", "epochs", count, 70),
        ("noise_scale", "noise scale", small, 100),
        ("training_status", "training", text, 110),
    ]
    columns = [
        TableColumn(field=name, title=title, formatter=formatter, width=width)
        for name, title, formatter, width in listed
        if name in source.data
    ]
    return DataTable(
        source=source,
        view=view,
        columns=columns,
        autosize_mode="none",
        index_position=None,
        height=360,
        sizing_mode="stretch_width",
        name="minima",
        scroll_to_selection=True,
        reorderable=False,
    )
