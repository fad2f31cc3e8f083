"""The prices of a machine: seconds for each count of `basins.plan.cost`, kept in a file."""

import json
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from basins.atomic import whole_or_not_at_all
from basins.plan.cost import COUNTS, Array
from basins.study import jobs

VERSION = 5
VERBS = ("fetch", "train", "rays", "volume", "estimate", "cube", "figure")


@dataclass(frozen=True)
class Calibration:
    """What was measured on one machine.

    Attributes
    ----------
    version
        Of this record.
    device, kind, threads
        Name of the device, ``cpu`` or ``cuda``, CPU threads of a job.
    torch, created_at
        Version of torch; when it was measured (ISO 8601).
    seconds
        Price of each count, by verb.
    start_seconds, start_bytes
        What a job of a verb takes whatever it does: interpreter, libraries, opening files.
    data_seconds_per_byte
        Reading and checking a data set.
    file_seconds
        Merging one job file into a cube.
    per_ray
        Evaluations of a ray's scan, and of one cell (landscape, threshold).
    misfit
        Largest ratio of fitted to measured seconds, either way, by verb.
    """

    version: int
    device: str
    kind: str
    threads: int
    torch: str
    created_at: str
    seconds: dict[str, list[float]]
    start_seconds: dict[str, float]
    start_bytes: dict[str, float]
    data_seconds_per_byte: float
    file_seconds: float
    per_ray: tuple[float, float]
    misfit: dict[str, float]

    def price(self, verb: str, counts: Array) -> float:
        """Return the seconds of `counts`, starting a job left aside."""
        return float(counts @ np.asarray(self.seconds[verb]))

    @property
    def age_days(self) -> float:
        """Days since it was measured."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.created_at)).total_seconds() / 86400


def save(calibration: Calibration, path: Path) -> None:
    """Write a calibration, whole or not at all."""
    with whole_or_not_at_all(path) as partial:
        partial.write_text(json.dumps(asdict(calibration), indent=2) + "\n", encoding="utf-8")


def load(path: Path) -> Calibration:
    """Read a calibration.

    Raises
    ------
    ValueError
        In one sentence, if the file is missing, foreign, incomplete or of another version.
    """
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable calibration ({error})") from error
    return _checked(mapping, str(path))


def _checked(mapping: Any, source: str) -> Calibration:
    names = {field.name for field in fields(Calibration)}
    if not isinstance(mapping, dict) or set(mapping) != names:
        raise ValueError(
            f"{source}: not a calibration of this version, which holds exactly "
            f"{', '.join(sorted(names))}; `basins calibrate` writes one"
        )
    if mapping["version"] != VERSION:
        raise ValueError(
            f"{source}: a calibration of version {mapping['version']}, not {VERSION}; "
            "`basins calibrate` writes a new one"
        )
    lengths = {verb: len(mapping["seconds"].get(verb, ())) for verb in COUNTS}
    if lengths != {verb: len(names) for verb, names in COUNTS.items()}:
        raise ValueError(f"{source}: the prices are incomplete; `basins calibrate` writes new ones")
    return Calibration(**mapping | {"per_ray": tuple(mapping["per_ray"])})


def packaged() -> Calibration:
    """Return the calibration that comes with the package, of the machine it names."""
    text = files("basins.plan").joinpath("reference.json").read_text(encoding="utf-8")
    return _checked(json.loads(text), "reference.json")


def find(kind: str, path: Path | None = None) -> tuple[Calibration | None, str]:
    """Return the calibration to use and where it was found.

    Parameters
    ----------
    kind
        ``cpu`` or ``cuda``.
    path
        A file that was named; else the newest of this `kind` in the folder of results, else, for
        the CPU, the one that comes with the package.
    """
    if path is not None:
        return load(path), str(path)
    found = [(load(file), str(file)) for file in sorted(jobs.calibrations_folder().glob("*.json"))]
    chosen = [pair for pair in found if pair[0].kind == kind]
    if chosen:
        return max(chosen, key=lambda pair: pair[0].created_at)
    if kind == "cpu":
        return packaged(), "the package; not measured on this machine, `basins calibrate` does that"
    return None, "none; run `basins calibrate` on a GPU node"
