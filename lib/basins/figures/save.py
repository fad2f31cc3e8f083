"""Saving a figure as PNG and PDF, whole or not at all, with the same bytes each time."""

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from basins.atomic import whole_or_not_at_all
from basins.figures.style import look

DOTS_PER_INCH = 180
COLORS = 256  # all the shades of smooth edges look the same, and take three times the bytes


def save(figure: Figure, png: Path, pdf: Path) -> None:
    """Write both files; neither holds a date or a version, and the PNG has a palette."""
    with look(), whole_or_not_at_all(png) as partial:
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=DOTS_PER_INCH, format="png")
        palette = Image.open(drawn).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        palette.save(partial, format="PNG", optimize=True, dpi=(DOTS_PER_INCH, DOTS_PER_INCH))
    with look(), whole_or_not_at_all(pdf) as partial:
        figure.savefig(partial, format="pdf", metadata={"CreationDate": None, "Producer": None})
