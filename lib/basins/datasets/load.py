"""A data set by name, built-in or a user's own, checked before anything is computed."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from basins.datasets.subsets import Data
from basins.study.resolve import dataset_entry, dataset_loader


def load(name: str, root: Path | None = None) -> Data:
    """Load the data set called `name`.

    Parameters
    ----------
    name
        A known name, or ``package.module:callable``: a function without arguments that returns a
        `Data` or the four arrays inputs, targets, test inputs, test targets.
    root
        Folder of real data sets.

    Raises
    ------
    ValueError
        In one sentence, if the data set is missing or malformed.
    """
    loader = dataset_loader(name)
    if dataset_entry(name) is not None:
        return _checked(loader(root))
    found = loader()
    if not isinstance(found, Data):
        found = _from_arrays(name, found)
    return _checked(found)


def receipt(data: Data) -> dict[str, Any]:
    """Return what a study keeps of a data set: sizes, normalisation and a digest."""
    return {
        "name": data.name,
        "num_examples": len(data.targets),
        "num_test": len(data.test_targets),
        "input_shape": list(data.input_shape),
        "num_classes": data.num_classes,
        "input_normalization": data.input_normalization,
        "sha256": data.sha256(),
    }


def check_receipt(data: Data, path: Path) -> None:
    """Raise ValueError unless `data` is the data set whose receipt is at `path`."""
    try:
        expected = json.loads(path.read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a readable receipt of a data set ({error})") from error
    if expected != data.sha256():
        raise ValueError(
            f"{path}: data set {data.name} has changed since this receipt was written; restore "
            "it, or remove the receipt to start over with the new data"
        )


def _from_arrays(name: str, found: Any) -> Data:
    if not isinstance(found, tuple) or len(found) != 4:
        raise ValueError(
            f"data set {name}: it must return a Data or four arrays (inputs, targets, test "
            f"inputs, test targets), not {type(found).__name__}"
        )
    inputs, targets, test_inputs, test_targets = (np.asarray(array) for array in found)
    for array in (targets, test_targets):
        if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
            raise ValueError(
                f"data set {name}: targets must be one-dimensional whole numbers, not "
                f"{array.dtype} of shape {array.shape}"
            )
    return Data(
        name=name,
        inputs=inputs.astype(np.float32),
        targets=targets.astype(np.int64),
        test_inputs=test_inputs.astype(np.float32),
        test_targets=test_targets.astype(np.int64),
        num_classes=int(targets.max(initial=0)) + 1,
        input_normalization="as given",
    )


def _checked(data: Data) -> Data:
    parts = [("inputs", data.inputs, data.targets), ("test", data.test_inputs, data.test_targets)]
    for part, inputs, targets in parts:
        if len(inputs) != len(targets) or not len(inputs):
            raise ValueError(
                f"data set {data.name}: {part} has {len(inputs)} inputs and {len(targets)} "
                "targets; it needs as many of both, at least one"
            )
        if inputs.shape[1:] != data.input_shape:
            raise ValueError(
                f"data set {data.name}: {part} inputs have shape {inputs.shape[1:]}, training "
                f"inputs {data.input_shape}"
            )
        if not np.isfinite(inputs).all():
            raise ValueError(f"data set {data.name}: {part} inputs hold NaN or infinity")
        if targets.min() < 0 or targets.max() >= data.num_classes:
            raise ValueError(
                f"data set {data.name}: {part} targets must lie in 0..{data.num_classes - 1}"
            )
    return data
