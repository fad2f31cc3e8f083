"""Studies whose measure is Gaussian, and guesses from it: what they are told that make no sense."""

from basins.study.schema import Study, StudyError
from basins.study.transform import is_around_minimum


def check_gaussian(study: Study) -> None:
    """Raise StudyError, naming the key, if the measure does not go with what else is asked for."""
    volume = study.measure.volume
    key = "measure.volume"
    if volume.measure == "lebesgue":
        if volume.sigma is not None:
            raise StudyError(
                f"{key}.sigma: {volume.sigma:g} belongs to measure 'gaussian', and the measure is "
                "'lebesgue'; leave it out"
            )
        if study.measure.guess_and_check:
            raise StudyError(
                "measure.guess_and_check: guesses are drawn from a Gaussian, and "
                f"{key}.measure is 'lebesgue'; it must be 'gaussian'"
            )
        return
    if volume.sigma is None:
        raise StudyError(f"{key}.sigma: the key is missing; measure 'gaussian' needs it")
    if volume.coordinates != "weight":
        raise StudyError(
            f"{key}.coordinates: {volume.coordinates!r} has units of each minimum's own, and a "
            "Gaussian is one for all; with measure 'gaussian' it must be 'weight'"
        )
    for transform in study.transforms:
        if is_around_minimum(transform):
            raise StudyError(
                f"transforms: {transform!r} has coordinates of its own around each minimum, in "
                "which the Gaussian would be another; with measure 'gaussian' it is not allowed"
            )
    curves = study.measure.curves
    if curves and curves.volume_points:
        raise StudyError(
            f"measure.curves.volume_points: {curves.volume_points} volumes along curves are "
            "Lebesgue's, and the measure is 'gaussian'; it must be null"
        )
    if study.measure.guess_and_check:
        _check_guess(study)


def _check_guess(study: Study) -> None:
    kind = study.measure.volume.threshold_kind
    if kind != "loss":
        raise StudyError(
            f"measure.volume.threshold_kind: {kind!r} is above a minimum's own loss, and a class "
            "has none; with measure.guess_and_check it must be 'loss'"
        )
    for name, recipe in study.recipes.items():
        if recipe.subset_seed is not None:
            raise StudyError(
                f"recipes.{name}.subset_seed: {recipe.subset_seed} gives its minima other examples "
                "than guesses are checked on (measure.guess_and_check); give the study the "
                "subset_seed"
            )
    losses = {name: recipe.loss for name, recipe in study.recipes.items()}
    first = next(iter(losses))
    for name, loss in losses.items():
        if loss != losses[first]:
            raise StudyError(
                f"recipes.{name}.loss: {loss} is not the {losses[first]} of recipe {first}; all "
                "must have the same, for guesses are checked in one loss "
                "(measure.guess_and_check)"
            )
