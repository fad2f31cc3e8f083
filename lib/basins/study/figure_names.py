"""Which figures there are, and which of them a study is drawn as."""

from basins.study.ladders import ladders
from basins.study.resolve import is_thin_circles
from basins.study.schema import Study
from basins.study.transform import parse_transform

FIGURES = (
    "volume_by_train_size",
    "landscape_matrix",
    "accuracy_by_train_size",
    "volume_by_accuracy",
    "power_law",
    "own_is_largest",
    "volume_by_estimator",
    "rank_correlations",
    "spectral_density",
    "accuracy_by_batch_size",
    "measures_by_recipe",
    "measures_by_alpha",
    "radial_reparametrization",
    "volume_by_gap",
    "volume_by_ladder",
    "volume_by_margin",
    "decision_boundaries",
    "minefield",
    "training_paths",
    "size_planes",
    "measures_by_epoch",
    "mode_connectivity",
    "distinct_minima",
    "loss_planes",
    "loss_surfaces",
    "loss_lines",
    "lines_by_recipe",
    "overall_volume",
)

# Drawn from the cubes of several studies; no study's own.
ACROSS_STUDIES = ("laws_of_studies", "largest_in_studies")


def figures(study: Study) -> tuple[str, ...]:
    """Return the names of the figures that are drawn of a study: those that it has numbers for."""
    has_alpha = any(parse_transform(name)[0] == "alpha-scale" for name in study.transforms)
    keys = {name: recipe.model_dump() for name, recipe in study.recipes.items()}
    climbed = [rungs for rungs in ladders(keys).values() if len(rungs) > 1]
    measures, has_planes = study.measure.flatness, study.measure.planes is not None
    is_drawn = {
        "own_is_largest": len(study.train_sizes) > 1,
        "rank_correlations": bool(measures),
        "spectral_density": "spectrum" in measures,
        "accuracy_by_batch_size": len(study.recipes) > 1,
        "measures_by_recipe": len(study.recipes) > 1,
        "measures_by_alpha": has_alpha,
        "volume_by_gap": any(recipe.poison for recipe in study.recipes.values()),
        "volume_by_ladder": len(climbed) > 1,
        "volume_by_margin": sum(map(is_thin_circles, study.datasets)) > 1,
        "decision_boundaries": study.measure.boundaries is not None,
        "minefield": study.measure.minefield is not None,
        "training_paths": study.measure.trajectories is not None,
        "size_planes": study.measure.size_planes is not None,
        "measures_by_epoch": any(recipe.measure_at for recipe in study.recipes.values()),
        "mode_connectivity": study.measure.curves is not None,
        "distinct_minima": study.measure.distinct is not None,
        "loss_planes": has_planes,
        "loss_surfaces": has_planes,
        "loss_lines": has_planes,
        "overall_volume": study.measure.guess_and_check is not None,
        "lines_by_recipe": has_planes and len(study.recipes) > 1,
        "radial_reparametrization": has_alpha and "spectrum" in measures,
    }
    return tuple(name for name in FIGURES if is_drawn.get(name, True))


def is_animated(study: Study) -> bool:
    """Tell whether a study has an animation: losses in planes in more landscapes than one."""
    return study.measure.planes is not None and len(study.landscape_sizes) > 1
