"""The part of THE table that holds how many different minima seeds find, and axes of its own."""

from typing import Any

import numpy as np

from basins.cube.variable import MINIMUM, Variable
from basins.study.schema import Study

OTHER_SEED, SAMENESS = "other_seed", "sameness"
BASIN, FUNCTION = "basin", "function"
NOTIONS = (BASIN, FUNCTION)
SETTING = MINIMUM[:4]
PAIR, COUNTED = (*MINIMUM, OTHER_SEED), (*SETTING, SAMENESS)
ENTEZARI = "Entezari et al. 2022, arXiv 2110.06296"
AINSWORTH = "Ainsworth et al. 2023, arXiv 2209.04836, algorithm 1"
CHAO = "Chao 1984, Scandinavian Journal of Statistics 11, 265; Chao 1987, Biometrics 43, 783"
DISTINCT_STATUS = (
    "not_measured",
    "estimated",
    "none_seen_twice",
    "too_few_minima",
    "not_matched",
)

# In the group `/distinct`, if the study asks for it.
DISTINCT = {
    "seed_disagreement": Variable(
        PAIR,
        "float32",
        "disagreement of the minima of two seeds",
        "1",
        "share of the test examples that the two put into different classes",
    ),
    "seed_barrier": Variable(
        PAIR,
        "float32",
        "barrier between the minima of two seeds",
        "nat",
        "max_t [L(theta_t) - (1 - t) L(theta_0) - t L(theta_1)] on the straight line, L the test "
        "loss",
        ENTEZARI,
    ),
    "seed_matched_barrier": Variable(
        PAIR,
        "float32",
        "the same after the hidden units of one were put into the order of the other's",
        "nat",
        "as of seed_barrier; NaN where units cannot be matched",
        AINSWORTH,
    ),
    "class_of_minimum": Variable(
        (*MINIMUM, SAMENESS),
        "int16",
        "which class a minimum is in",
        "1",
        "from 1 in order of seeds; 0: in none, as distinct_status and training_status say",
    ),
    "num_compared": Variable(SETTING, "int32", "minima compared", "1", "trainings that converged"),
    "num_diverged": Variable(
        SETTING, "int32", "minima left out", "1", "trainings that diverged end in no minimum"
    ),
    "num_classes": Variable(
        COUNTED,
        "int32",
        "classes seen",
        "1",
        "D: chains of minima whose neighbours differ by at most measure.distinct.tolerance "
        "(function), or have a matched barrier of at most measure.distinct.barrier (basin)",
        ancillary=("distinct_status",),
    ),
    "class_width": Variable(
        COUNTED,
        "float32",
        "largest difference of two minima of one class",
        "1 or nat",
        "disagreement or matched barrier of the ends of the widest chain; 0: no class has two",
    ),
    "num_seen_once": Variable(COUNTED, "int32", "classes of one minimum", "1", "F_1"),
    "num_seen_twice": Variable(COUNTED, "int32", "classes of two minima", "1", "F_2"),
    "estimated_classes": Variable(
        COUNTED,
        "float64",
        "classes that there are at least, unseen ones included",
        "1",
        "D + F_1 (F_1 - 1) / (2 (F_2 + 1)); NaN if every minimum is a class of its own",
        CHAO,
        ancillary=("estimated_classes_low", "estimated_classes_high", "distinct_status"),
    ),
    "estimated_classes_low": Variable(
        COUNTED, "float64", "lower end of its interval", "1", "log-normal, 90 %, asymptotic", CHAO
    ),
    "estimated_classes_high": Variable(
        COUNTED, "float64", "upper end of its interval", "1", "log-normal, 90 %, asymptotic", CHAO
    ),
    "distinct_status": Variable(
        COUNTED,
        "int8",
        "what estimated_classes is",
        "1",
        "too_few_minima: fewer than 3 trainings converged; not_matched: this architecture's units "
        "cannot be matched, so its basins are not counted",
        flags=DISTINCT_STATUS,
    ),
}


def distinct_axes(study: Study) -> dict[str, list[Any]]:
    """Return the labels of the dims that only comparisons of minima have."""
    return {OTHER_SEED: sorted(study.seeds), SAMENESS: list(NOTIONS)}


def num_bytes(sizes: dict[str, int]) -> int:
    """Return the bytes of one cell's numbers, `sizes` those of all dims."""
    return sum(
        np.dtype(one.dtype).itemsize * int(np.prod([sizes[dim] for dim in one.dims[2:]]))
        for one in DISTINCT.values()
    )
