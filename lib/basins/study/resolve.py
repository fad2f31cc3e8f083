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


def check_dataset(name: str) -> None:
    """Raise StudyError unless `name` is a known data set or has the form of a callable's name."""
    if name not in DATASETS and not is_target(name):
        raise StudyError(f"datasets: {name!r} is not known{_near(name, list(DATASETS))}")


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
    """Return the loader of data set `name`; StudyError if there is none."""
    check_dataset(name)
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
