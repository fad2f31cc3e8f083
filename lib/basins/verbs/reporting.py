"""Verbs on finished jobs: merge their files, draw and print what they hold."""

import importlib
import json
from contextlib import ExitStack
from pathlib import Path

from basins.atomic import whole_or_not_at_all
from basins.cube import generated as cube_generated
from basins.cube import ranking_words, read, scaling_words, schema
from basins.cube.bulk import bulk_of, places
from basins.cube.merge import merge
from basins.cube.ranking import rank as rank_measures
from basins.cube.summary import summarize
from basins.progress import progress
from basins.study import figure_names, jobs
from basins.study import generated as study_generated
from basins.study.load import load_study


def cube(study: Path, output: Path) -> None:
    """Merge all job files of a study into its cube."""
    found = load_study(study)
    files = sum(len(jobs.verbs_of(found, job)) for job in jobs.expand(found))
    files += len(jobs.cell_verbs(found)) * len(jobs.cells(found))
    # Files with what is copied without being gathered are read twice.
    files += sum(1 for bulk in bulk_of(found) for _ in places(found, bulk))
    with progress("merging", files, "files") as advance:
        merge(found, output, advance)


def figure(
    cube: list[Path], name: str, png: Path, pdf: Path, threshold: float | None = None
) -> None:
    """Draw one figure from a cube, or from several where it is one across studies."""
    from basins.figures.save import save

    allowed = (*figure_names.FIGURES, *figure_names.ACROSS_STUDIES)
    if name not in allowed:
        raise ValueError(f"--name: {name!r} is not a figure; allowed are {', '.join(allowed)}")
    is_across = name in figure_names.ACROSS_STUDIES
    if len(cube) > 1 and not is_across:
        raise ValueError(
            f"--cube: figure {name!r} is drawn from one cube, not {len(cube)}; from several are "
            + ", ".join(figure_names.ACROSS_STUDIES)
        )
    drawing = importlib.import_module(f"basins.figures.{name}")
    with ExitStack() as stack:
        opened = [stack.enter_context(read.open_cube(path)) for path in cube]
        if is_across:
            save(drawing.draw(opened, threshold), png, pdf)
            return
        one = opened[0]
        # Figures of bulk say which group they need; a study that did not measure it has none.
        group = getattr(drawing, "GROUP", None)
        if group is not None and read.has_group(cube[0], group):
            bulk = stack.enter_context(read.open_group(cube[0], group))
            one = one.assign(bulk.data_vars)
        save(drawing.draw(one, threshold), png, pdf)


def explore(
    cube: Path, output: Path, figures: Path | None = None, captions: Path | None = None
) -> None:
    """Write a study's page for a browser, from its cube and the figures in a folder."""
    from basins.figures import explorer
    from basins.figures.explorer_details import GROUPS

    if captions is not None and figures is None:
        raise ValueError(
            f"--captions: {captions} are of figures, and there is no --figures; give their folder"
        )

    with ExitStack() as stack:
        root = stack.enter_context(read.open_cube(cube))
        groups = {
            name: stack.enter_context(read.open_group(cube, name))
            for name in GROUPS
            if read.has_group(cube, name)
        }
        pictures = explorer.pictures_in(figures, captions) if figures is not None else []
        text = explorer.page(root, groups, pictures)
    with whole_or_not_at_all(output) as partial:
        partial.write_text(text, encoding="utf-8")


def animate(
    cube: Path,
    output: Path,
    threshold: float | None = None,
    model: str | None = None,
    dataset: str | None = None,
    recipe: str | None = None,
    train_size: int | None = None,
    seed: int | None = None,
) -> None:
    """Write an animation of one minimum's plane in growing landscapes."""
    from basins.figures import landscape_animation

    if output.suffix != ".gif":
        raise ValueError(f"--output: {str(output)!r} must end in .gif; animations are GIFs")
    group = landscape_animation.GROUP
    labels = {
        "model": model,
        "dataset": dataset,
        "recipe": recipe,
        "train_size": train_size,
        "seed": seed,
    }
    with read.open_cube(cube) as opened, read.open_group(cube, group) as bulk:
        one = landscape_animation.chosen(opened.assign(bulk.data_vars), **labels)
        landscape_animation.animate(one, output, threshold)


def show(cube: Path) -> None:
    """Print a readable summary of a cube."""
    with read.open_cube(cube) as opened:
        schema.validate(opened, "/")
        print(summarize(opened))


def rank(cube: Path, as_json: bool = False) -> None:
    """Print how each measure of a cube goes with the generalization gap."""
    with read.open_cube(cube) as opened:
        schema.validate(opened, "/")
        ranking = rank_measures(opened)
    if as_json:
        print(json.dumps(ranking_words.as_json(ranking), indent=2))
    else:
        print(ranking_words.text(ranking))


def scaling(cubes: list[Path], as_json: bool = False) -> None:
    """Print how volumes in own landscapes go with the number of examples, cubes in one table."""
    rows = []
    for path in cubes:
        with read.open_cube(path) as opened:
            schema.validate(opened, "/")
            rows += scaling_words.records([opened])
    print(json.dumps(rows, indent=2) if as_json else scaling_words.text(rows))


def generate(root: Path) -> None:
    """Write the files generated from the code."""
    study_generated.generate(root)
    cube_generated.generate(root)
