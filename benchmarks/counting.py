"""Annealed volumes of real minima against counting: the share of a ball's uniform draws inside.

The plainest estimator there is, and an answer wherever a ball's share is not tiny: of own minima of
the smallest train sizes. Reads a finished study whose basins end at a stated `r_max`.

    snakemake --cores 2 --configfile config/demo-calibrated.yaml
    python benchmarks/counting.py results/demo-calibrated
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from numba import set_num_threads
from table import options, report

from basins.cube import read
from basins.cube.queries import own_landscape
from basins.study import fingerprints, jobs
from basins.study.load import load_study
from basins.study.schema import Study
from basins.verbs.job_data import load, minima_of, network_of
from basins.volume import ball
from basins.volume.basin import Basin
from basins.volume.of_network import network_basin

TRAIN_SIZES = 2  # the smallest, in own landscapes
NUM_DRAWS, BATCH = 200_000, 4000
ENOUGH, LEAST = 400, 30  # draws inside: errors of 0.05, of 0.18


def own_basins(study: Study, block: jobs.Job, threshold: float) -> list[Basin]:
    """Return the basins of a job's minima in the landscape they were trained in, by seed."""
    path = jobs.minima_file(study, block.id)
    with read.open_job(path, "minima", fingerprints.of(study, block.id, "train")) as file:
        parameters = file["parameters"][()]
    data = load(study, block.dataset)
    network = network_of(block, data, study.recipes[block.recipe].loss)
    found = []
    for minimum in minima_of(study, block, data, network, parameters, torch.device("cpu")):
        count = minimum.landscapes.sizes.index(block.train_size) + 1
        own = replace(minimum.landscapes, sizes=minimum.landscapes.sizes[:count])
        basin = network_basin(network, minimum.theta, own, threshold, minimum.scale, minimum.r_max)
        found.append(basin)
    return found


def count(basin: Basin, seed: int) -> tuple[int, int]:
    """Return how many uniform draws of the ball were inside, and how many were drawn."""
    rng = np.random.default_rng(seed)
    n, inside, drawn = basin.num_parameters, 0, 0
    while drawn < NUM_DRAWS and inside < ENOUGH:
        points = rng.standard_normal((BATCH, n))
        distances = basin.r_max * rng.random(BATCH) ** (1 / n)
        points *= (distances / np.linalg.norm(points, axis=1))[:, None]
        inside, drawn = inside + int(basin.is_inside(points).sum()), drawn + BATCH
    return inside, drawn


def main() -> None:
    """Print the table."""
    parser = options((__doc__ or "").splitlines()[0])
    default = Path("results/demo-calibrated")
    parser.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=default,
        help=f"folder of a finished study (default: {default})",
    )
    asked = parser.parse_args()
    if not (asked.results / "cube.nc").is_file():
        parser.error(
            f"{asked.results} holds no finished study; config/{default.name}.yaml makes one"
        )
    set_num_threads(asked.threads)
    study = load_study(asked.results / "study.yaml")
    threshold = study.measure.volume.thresholds[0]
    rows: list[dict[str, object]] = []
    with xr.open_dataset(asked.results / "cube.nc") as cube:
        chosen = cube.sel(estimator="annealed", threshold=threshold).squeeze()
        own = [own_landscape(chosen[name]) for name in ("log_volume", "log_volume_stderr")]
        for block in [
            b for b in jobs.expand(study) if b.train_size in study.train_sizes[:TRAIN_SIZES]
        ]:
            for index, basin in enumerate(own_basins(study, block, threshold)):
                inside, drawn = count(basin, index)
                if inside < LEAST:
                    continue
                which = {"train_size": block.train_size, "seed": block.seeds[index]}
                value, stderr = (float(variable.sel(which)) for variable in own)
                counted = ball.log_volume(basin.num_parameters, basin.r_max)
                counted += np.log(inside / drawn)
                error = float(np.sqrt((1 - inside / drawn) / inside))
                rows.append(
                    {
                        "train size": block.train_size,
                        "seed": block.seeds[index],
                        "draws": drawn,
                        "inside": inside,
                        "counted, nats": f"{counted:.2f} ± {error:.2f}",
                        "annealed, nats": f"{value:.2f} ± {stderr:.2f}",
                        "apart, standard errors": (value - counted) / np.hypot(error, stderr),
                    }
                )
    report(f"Volumes of study {study.study} against counting", rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
