"""A made-up cube with all that a page shows of a minimum."""

import numpy as np
import xarray as xr

SIZES = [20, 60]
MINIMUM = ("model", "dataset", "recipe", "train_size", "seed")
RECIPES = ("adam", "sgd", "wild")  # the last one diverges
GRID = np.linspace(-1, 1, 61)
NODES = 30


class Draws:
    """Normal numbers of minima, NaN for those of the last recipe."""

    def __init__(self, seed, recipes, seeds):
        self.rng = np.random.default_rng(seed)
        self.shape = (2, 1, len(recipes), len(SIZES), seeds)
        self.is_wild = np.zeros(self.shape, dtype=bool)
        self.is_wild[:, :, -1] = True

    def __call__(self, *more):
        values = self.rng.normal(size=(*self.shape, *more))
        values[self.is_wild] = np.nan
        return values


def made_root(seed, recipes=RECIPES, seeds=3):
    """Return the root of a cube of two models, a data set and two train sizes."""
    drawn = Draws(seed, recipes, seeds)
    rng, shape = drawn.rng, drawn.shape
    basin = (*MINIMUM, "landscape_size", "threshold", "estimator")
    volume = drawn(2, 2, 2)
    status = np.where(np.isnan(volume), 4, rng.integers(1, 4, volume.shape)).astype(np.int8)
    labels = _labels(recipes, seeds)
    return xr.Dataset(
        {
            "log_volume": (basin, volume),
            "log_volume_low": (basin, volume - 1),
            "log_volume_high": (basin, volume + 2),
            "log_volume_stderr": (basin, abs(volume)),
            "volume_status": (basin, status),
            "is_lower_bound": (basin, status == 2),
            "mean_log_radius": (basin[:-1], drawn(2, 2)),
            "censored_fraction": (basin[:-1], drawn(2, 2)),
            "train_loss": (MINIMUM, abs(drawn())),
            "test_loss": (MINIMUM, abs(drawn())),
            "train_accuracy": (MINIMUM, rng.uniform(0.5, 1, shape)),
            "test_accuracy": (MINIMUM, rng.uniform(0.5, 1, shape)),
            "weight_norm": (MINIMUM, abs(drawn())),
            "epochs": (MINIMUM, rng.integers(1, 99, shape).astype(np.int32)),
            "training_status": (MINIMUM, np.where(drawn.is_wild, 3, 1).astype(np.int8)),
            "num_parameters": (MINIMUM[:2], np.full((2, 1), NODES)),
            "trace": ((*MINIMUM, "landscape_size"), drawn(2)),
            "trace_stderr": ((*MINIMUM, "landscape_size"), abs(drawn(2))),
            "spectral_norm": ((*MINIMUM, "landscape_size"), np.full((*shape, 2), 100.0)),
            "path_norm": (MINIMUM, drawn()),
            "fgsm_accuracy": ((*MINIMUM, "perturbation"), drawn(2)),
        },
        coords=labels
        | {
            "landscape_size": SIZES,
            "threshold": [0.1, 0.5],
            "estimator": ["annealed", "rays"],
            "perturbation": [0.01, 0.1],
            "measure": "lebesgue",
            "volume_coordinates": "filter",
            "threshold_kind": "loss",
        },
        attrs={"title": "A made study", "study": "study: made\n", "study_sha256": "0" * 64},
    )


def made_cube(seed, recipes=RECIPES, seeds=3):
    """Return the root of a cube and its groups."""
    drawn = Draws(seed + 1, recipes, seeds)
    rng, shape, labels = drawn.rng, drawn.shape, _labels(recipes, seeds)
    # A lead that is linear, and losses that grow with the square of the distance.
    slopes = drawn(3)[..., None, None, :]
    lead = slopes[..., 0] * GRID + slopes[..., 1] * GRID[:, None] + slopes[..., 2] / 3
    counts = np.where(np.arange(60) < np.array(SIZES)[:, None], 0.0, np.nan)[:, None]
    points = {name: drawn(60) + counts for name in ("point_x", "point_y")}
    classes = (points["point_x"] > 0) + 0 * points["point_x"]
    own = 0.01 + 0.05 * rng.uniform(size=(*shape, 2)) + 0 * drawn(2)
    curvature = rng.uniform(0.3, 0.4, (*shape, 2))
    losses = np.multiply.outer(curvature, GRID**2 + GRID[:, None] ** 2) + own[..., None, None]
    eigenvalues = np.exp(drawn(2, NODES)) * rng.choice([-0.1, 1], (*shape, 2, NODES))
    weights = np.full(eigenvalues.shape, 1 / NODES)
    steps = np.broadcast_to(np.arange(40.0), (*shape, 40))
    groups = {
        "/boundaries": xr.Dataset(
            {"class_lead": ((*MINIMUM, "input_y", "input_x"), lead.astype(np.float32))}
            | {
                name: ((*MINIMUM, "point"), values.astype(np.float32))
                for name, values in (points | {"point_class": classes}).items()
            },
            coords=labels | {"input_x": GRID, "input_y": GRID},
        ),
        "/planes": xr.Dataset(
            {
                "plane_loss": (
                    (*MINIMUM, "landscape_size", "y", "x"),
                    losses.astype(np.float32),
                )
            },
            coords=labels | {"landscape_size": SIZES, "x": GRID, "y": GRID},
        ),
        "/spectrum": xr.Dataset(
            {
                "node_eigenvalue": ((*MINIMUM, "landscape_size", "node"), eigenvalues),
                "node_weight": ((*MINIMUM, "landscape_size", "node"), weights),
                "test_node_eigenvalue": ((*MINIMUM, "node"), eigenvalues[..., 0, :]),
                "test_node_weight": ((*MINIMUM, "node"), weights[..., 0, :]),
            },
            coords=labels | {"landscape_size": SIZES},
        ),
        "/history": xr.Dataset(
            {
                "epoch": ((*MINIMUM, "step"), steps),
                "train_loss": ((*MINIMUM, "step"), abs(drawn(40))),
            },
            coords=labels,
        ),
    }
    return made_root(seed, recipes, seeds), groups


def _labels(recipes, seeds):
    return {
        "model": ["mlp-8", "mlp-9"],
        "dataset": ["swiss-roll"],
        "recipe": list(recipes),
        "train_size": SIZES,
        "seed": list(range(seeds)),
    }
