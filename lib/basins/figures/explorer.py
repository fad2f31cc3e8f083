"""The explorer: one page of a study that a browser opens without a network.

Volume against accuracy and a table of minima, both filtered; what was measured of the minimum that
is clicked; the study's figures. Charts, tables and filters are Bokeh's, whose scripts are on the
page.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.events import DocumentReady
from bokeh.resources import INLINE

from basins.figures.explorer_details import Details, details_of
from basins.figures.explorer_minima import Minima, minima_of
from basins.figures.explorer_overview import overview
from basins.figures.explorer_panel import panel
from basins.figures.explorer_room import MOST_DETAIL_BYTES, MOST_MINIMA, MOST_VOLUME_BYTES
from basins.study.figure_names import FIGURES

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEMPLATE = Path(__file__).with_name("explorer.html.jinja")


@dataclass(frozen=True)
class Picture:
    """A figure of the study: its name, its caption ('' if unknown) and the bytes of its PNG."""

    name: str
    caption: str
    png: bytes

    @property
    def title(self) -> str:
        """Return the name as words."""
        return self.name.replace("_", " ").capitalize()

    @property
    def data(self) -> str:
        """Return the picture as text that stands in a page."""
        return base64.b64encode(self.png).decode()


def page(
    cube: xr.Dataset, groups: Mapping[str, xr.Dataset], pictures: list[Picture] | None = None
) -> str:
    """Return the page of a study.

    Parameters
    ----------
    cube
        The root of its cube.
    groups
        Those of `basins.figures.explorer_details.GROUPS` that the cube has.
    pictures
        Its figures.

    Raises
    ------
    ValueError
        If the cube holds no minimum.
    """
    minima = minima_of(cube)
    if not len(minima.places):
        raise ValueError("--cube: holds no minima, so there is nothing to explore")
    details = details_of(cube, groups, minima.places)
    detail = np.full(len(minima.places), -1)
    detail[details.rows] = np.arange(len(details.rows))
    upper = overview(cube, minima, detail)
    document = Document()
    for half in (upper.layout, panel(upper, details)):
        document.add_root(half)
    document.js_on_event(DocumentReady, upper.choose)
    text: str = file_html(
        document,
        INLINE,
        title=f"{cube.attrs.get('title', 'A study')}: explorer",
        template=TEMPLATE.read_text(encoding="utf-8"),
        template_variables={
            "heading": cube.attrs.get("title", "A study"),
            "facts": list(_facts(cube)),
            "room": list(_room(minima, details)),
            "study": cube.attrs.get("study", ""),
            "pictures": pictures or [],
        },
    )
    return text


def pictures_in(folder: Path, captions: Path | None = None) -> list[Picture]:
    """Return the figures that a folder has, in the order of all figures.

    Parameters
    ----------
    folder
        With PNG files by the figures' names.
    captions
        File of their captions, as the HTML report reads it.

    Raises
    ------
    ValueError
        If there is no such folder, a file in it is no PNG, or no caption in the file.
    """
    if not folder.is_dir():
        raise ValueError(f"--figures: {folder} is no folder")
    words = _captions(captions) if captions is not None else {}
    found = []
    for name in FIGURES:
        path = folder / f"{name}.png"
        if not path.is_file():
            continue
        image = path.read_bytes()
        if not image.startswith(PNG_SIGNATURE):
            raise ValueError(f"--figures: {path} is no PNG file; draw the figure again")
        found.append(Picture(name, words.get(name, ""), image))
    return found


def _captions(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8")
    found = re.findall(r'name == "(\w+)" %\}\n(.*?)(?=\{%)', text, flags=re.DOTALL)
    if not found:
        raise ValueError(f"--captions: {path} holds no captions of figures by name")
    return {name: " ".join(words.replace("`", "").split()) for name, words in found}


def _facts(cube: xr.Dataset) -> Iterator[tuple[str, str]]:
    """Return what was run and by what, each with its name."""

    def listed(dim: str) -> str:
        return ", ".join(str(value) for value in cube[dim].values)

    counted = [
        f"{model} on {dataset}: {int(cube.num_parameters.sel(model=model, dataset=dataset)):,}"
        for model in cube.model.values
        for dataset in cube.dataset.values
    ]
    yield "data sets", listed("dataset")
    yield "models, with their parameters", "; ".join(counted)
    yield "recipes", listed("recipe")
    yield "train sizes", listed("train_size")
    yield "landscapes", listed("landscape_size")
    yield "seeds", listed("seed")
    volume = f"{cube.volume_coordinates.item()} coordinates, {cube.measure.item()} measure"
    yield "volumes", f"by {listed('estimator')}; {volume}"
    yield "thresholds", f"{listed('threshold')} nat ({cube.threshold_kind.item()})"
    for key, name in (
        ("basins_version", "version of Basins"),
        ("source_revision", "revision of its source"),
        ("study_sha256", "SHA-256 of the study"),
    ):
        if key in cube.attrs:
            yield name, str(cube.attrs[key])


def _room(minima: Minima, details: Details) -> Iterator[str]:
    """Return in words what the page holds of the cube, and what it had no room for."""
    shown, held = len(minima.places), len(details.rows)
    kept = "the first seed of every setting before the second of any"
    if shown < minima.num_found:
        yield (
            f"The study has {minima.num_found:,} minima. The page shows {shown:,} of them, {kept}: "
            f"it holds at most {MOST_MINIMA:,} and at most {MOST_VOLUME_BYTES // 1_000_000} MB of "
            "their volumes. The cube has them all."
        )
    else:
        yield f"The page shows all {shown:,} minima of the study."
    budget = f"{MOST_DETAIL_BYTES // 1_000_000} MB"
    if held < shown:
        yield (
            f"Boundaries, planes, spectra, training curves and flatness are here of {held:,} of "
            f"these minima, {kept}: that is what fits into {budget}. The cube has the others."
        )
    else:
        yield (
            "What was measured of boundaries, planes, spectra, training curves and flatness is "
            "here of all of them."
        )
