"""Names of data sets and models to the callables behind them."""

import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from basins.study.schema import StudyError


@dataclass(frozen=True)
class DatasetEntry:
    """A known data set: its loader, and what a study needs to know before loading it."""

    target: str
    num_train: int
    num_classes: int
    num_test: int
    input_shape: tuple[int, ...]


DATASETS = {
    "digits": DatasetEntry("basins.datasets.digits:load", 1437, 10, 360, (1, 8, 8)),
    "digits-3-8": DatasetEntry("basins.datasets.digits:load_pair", 285, 2, 72, (1, 8, 8)),
    "swiss-roll": DatasetEntry("basins.datasets.swiss_roll:load", 2000, 2, 4000, (2,)),
    "circles": DatasetEntry("basins.datasets.circles:load", 2000, 2, 4000, (2,)),
    "modular-addition": DatasetEntry(
        "basins.datasets.modular_addition:load", 9409, 97, 9409, (194,)
    ),
    "modular-addition-held-out": DatasetEntry(
        "basins.datasets.modular_addition:load_held_out", 6586, 97, 2823, (194,)
    ),
    "mnist": DatasetEntry("basins.datasets.images:load_mnist", 60000, 10, 10000, (1, 28, 28)),
    "fashion-mnist": DatasetEntry(
        "basins.datasets.images:load_fashion_mnist", 60000, 10, 10000, (1, 28, 28)
    ),
    "cifar10": DatasetEntry("basins.datasets.images:load_cifar10", 50000, 10, 10000, (3, 32, 32)),
    "svhn": DatasetEntry("basins.datasets.images:load_svhn", 73257, 10, 26032, (3, 32, 32)),
}
# Of `circles-<margin>`; the loader takes the name, too.
THIN_CIRCLES = DatasetEntry("basins.datasets.circles:load_thin", 2000, 2, 4000, (2,))
# The least is far above what inputs are rounded by; at the largest, rings of one class touch.
MARGINS = (0.001, 0.2)

# Pattern of a model's name, how people should read it, and its builder.
MODELS = [
    (r"linear", "linear", "basins.models.mlp:build"),
    (
        r"mlp(-[1-9]\d*(x[1-9]\d*)?)+",
        "mlp-<width>-<width>... (mlp-32x5: five of 32)",
        "basins.models.mlp:build",
    ),
    (r"cnn-(small|large)", "cnn-small, cnn-large", "basins.models.cnn:build"),
    (r"resnet-[1-9]\d*(-noskip)?", "resnet-<depth>[-noskip]", "basins.models.resnet:build"),
    (r"sharp-rings", "sharp-rings", "basins.models.sharp_rings:build"),
]


def is_target(name: str) -> bool:
    """Tell whether `name` has the form package.module:callable."""
    return re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name) is not None


def resolve(target: str) -> Callable[..., Any]:
    """Import the callable named ``package.module:callable``.

    Raises
    ------
    StudyError
        If the module cannot be imported or holds no such callable.
    """
    module_name, _, attribute = target.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        # As `python -m` does, so that a module beside the study is found.
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise StudyError(f"{target!r} cannot be imported: {error}") from error
    if not callable(found):
        raise StudyError(f"{target!r} is not callable but a {type(found).__name__}")
    return found  # type: ignore[no-any-return]  # what a user's module holds is known at run time


def is_thin_circles(name: str) -> bool:
    """Tell whether `name` has the form ``circles-<margin>``, whatever the margin."""
    return name.startswith("circles-")


def margin_of(name: str) -> float:
    """Return the margin that ``circles-<margin>`` spells.

    Raises
    ------
    StudyError
        If it is not a number written in the one way that names a data set, or out of range.

    Examples
    --------
    >>> margin_of("circles-0.05")
    0.05
    """
    text = name.removeprefix("circles-")
    low, high = MARGINS
    # A zero at the end would be a second name of the same data.
    is_number = re.fullmatch(r"0\.\d*[1-9]", text) is not None
    if not is_number or not low <= float(text) <= high:
        raise StudyError(
            f"datasets: {name!r} cannot be made; its margin must be a decimal from {low} to {high} "
            "without zeros at the end, as in circles-0.05"
        )
    return float(text)


def dataset_entry(name: str) -> DatasetEntry | None:
    """Return what is known of data set `name` before loading it, None for a user's own.

    Raises
    ------
    StudyError
        If it is ``circles-<margin>`` with a margin that is not allowed.
    """
    if is_thin_circles(name):
        margin_of(name)
        return THIN_CIRCLES
    return DATASETS.get(name)


def check_dataset(name: str) -> None:
    """Raise StudyError unless `name` is a known data set or has the form of a callable's name."""
    if dataset_entry(name) is None and not is_target(name):
        known = [*DATASETS, "circles-<margin>"]
        raise StudyError(f"datasets: {name!r} is not known{_near(name, known)}")


def check_model(name: str) -> None:
    """Raise StudyError unless `name` is a known model or has the form of a callable's name."""
    if _model_target(name) is None and not is_target(name):
        known = [label for _, label, _ in MODELS]
        raise StudyError(f"models: {name!r} is not known{_near(name, known)}")


def check_depth(name: str) -> None:
    """Raise StudyError if `name` is a residual network of a depth that cannot be built."""
    depth = re.fullmatch(r"resnet-(\d+)(-noskip)?", name)
    if depth and (int(depth[1]) < 8 or int(depth[1]) % 6 != 2):
        raise StudyError(
            f"models: {name!r} cannot be built; the depth must be 6k + 2 (8, 14, 20, 32, 56)"
        )


def dataset_loader(name: str) -> Callable[..., Any]:
    """Return ``load(root) -> Data`` of data set `name`, a user's own without the root.

    Raises
    ------
    StudyError
        If the name is unknown.
    """
    check_dataset(name)
    if is_thin_circles(name):
        load = resolve(THIN_CIRCLES.target)
        return lambda root=None: load(name, root)
    return resolve(DATASETS[name].target if name in DATASETS else name)


def model_builder(name: str) -> Callable[..., Any]:
    """Return ``build(input_shape, num_outputs) -> Module`` of model `name`.

    Raises
    ------
    StudyError
        If the name is unknown.
    """
    check_model(name)
    target = _model_target(name)
    if target is None:
        return resolve(name)
    build = resolve(target)
    return lambda input_shape, num_outputs: build(name, input_shape, num_outputs)


def _model_target(name: str) -> str | None:
    matches = (target for pattern, _, target in MODELS if re.fullmatch(pattern, name))
    return next(matches, None)


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{hint}; allowed are {', '.join(known)} or package.module:callable"
