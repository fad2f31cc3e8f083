"""The part of THE table that holds curves between minima, and the axes that only they have."""

from typing import Any

from basins.cube.variable import VOLUME_STATUS, Variable
from basins.study.curves import KINDS, evenly_spread, pair_labels
from basins.study.schema import Study

POSITION, VOLUME_POSITION = "position", "volume_position"
CURVE = ("model", "dataset", "train_size", "pair", "seed", "kind")
IN_LANDSCAPE = (*CURVE, "landscape_size")
AROUND = (*IN_LANDSCAPE, "threshold", VOLUME_POSITION)
GARIPOV = "Garipov et al. 2018, arXiv 1802.10026, section 3"
BARRIER = "Entezari et al. 2022, arXiv 2110.06296; Frankle et al. 2020, arXiv 1912.05671"
DINH = "Dinh et al. 2017, arXiv 1703.04933, definition 1"

LOSSES = {
    "curve_loss": Variable(
        (*IN_LANDSCAPE, POSITION),
        "float32",
        "loss along a curve between two minima",
        "nat",
        "L_m(phi(t)), phi(0) and phi(1) the minima",
        GARIPOV,
    ),
    "curve_train_error": Variable(
        (*CURVE, POSITION),
        "float32",
        "training error along the curve",
        "1",
        "share of the training subset that is misclassified at phi(t)",
        GARIPOV,
    ),
    "curve_test_error": Variable(
        (*CURVE, POSITION),
        "float32",
        "test error along the curve",
        "1",
        "share of the test set that is misclassified at phi(t)",
        GARIPOV,
    ),
    "curve_barrier": Variable(
        IN_LANDSCAPE,
        "float64",
        "loss barrier of the curve",
        "nat",
        "max_t [L_m(phi(t)) - (1 - t) L_m(phi(0)) - t L_m(phi(1))], over the positions",
        BARRIER,
    ),
    "curve_length": Variable(
        CURVE,
        "float64",
        "length of the curve",
        "1",
        "sum of the distances |phi(t) - phi(t')| of neighbouring positions",
        GARIPOV,
    ),
}
VOLUMES = {
    "curve_log_volume": Variable(
        AROUND,
        "float64",
        "log volume of the basin around a point of the curve",
        "nat",
        "by rays, in the coordinates of that point: ln V_ball(n) + ln mean_u r(u)^n",
        DINH,
        ancillary=("curve_log_volume_low", "curve_log_volume_high", "curve_volume_status"),
    ),
    "curve_log_volume_low": Variable(
        AROUND, "float64", "lower end of its interval", "nat", "nine of ten hold the truth"
    ),
    "curve_log_volume_high": Variable(
        AROUND, "float64", "upper end of its interval", "nat", "nine of ten hold the truth"
    ),
    "curve_log_det_coordinates": Variable(
        (*CURVE, VOLUME_POSITION),
        "float64",
        "log-determinant of the point's coordinates",
        "nat",
        "sum_i ln s_i; ln V in weight space = curve_log_volume + this",
    ),
    "curve_volume_status": Variable(
        AROUND,
        "int8",
        "what curve_log_volume is",
        "1",
        "minimum_above_threshold: the point itself is not below the threshold",
        flags=VOLUME_STATUS,
    ),
}
# In the group `/curves`, if the study asks for it.
CURVES = LOSSES | VOLUMES


def curve_table(study: Study) -> dict[str, Variable]:
    """Return the variables of the curves that a study asks for."""
    has_volumes = study.measure.curves is not None and study.measure.curves.volume_points
    return CURVES if has_volumes else LOSSES


def curve_axes(study: Study) -> dict[str, list[Any]]:
    """Return the labels of the dims that only curves have."""
    asked = study.measure.curves
    found: dict[str, list[Any]] = {"pair": pair_labels(study), "kind": list(KINDS)}
    if asked:
        found[POSITION] = evenly_spread(asked.points)
    if asked and asked.volume_points:
        found[VOLUME_POSITION] = evenly_spread(asked.volume_points)
    return found
