"""Saving a figure as PNG and PDF, whole or not at all, with the same bytes each time."""

from pathlib import Path

from matplotlib.figure import Figure

from basins.atomic import whole_or_not_at_all
from basins.figures.style import look


def save(figure: Figure, png: Path, pdf: Path) -> None:
    """Write both files; neither holds a date or a version."""
    formats = [(png, {"Software": None}), (pdf, {"CreationDate": None, "Producer": None})]
    for path, metadata in formats:
        with look(), whole_or_not_at_all(path) as partial:
            figure.savefig(partial, dpi=180, metadata=metadata, format=path.suffix[1:])
