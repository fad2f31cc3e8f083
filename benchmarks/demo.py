"""The whole demo study against the same with every trick off: verbs with and without --slow-path.

All verbs run in this process, so that no side counts the start of one; figures, which cost both the
same, are left out. With one seed by default: the slow path takes minutes for each.

    python benchmarks/demo.py --json benchmarks/records/demo.json
"""

import contextlib
import os
import tempfile
from functools import partial
from pathlib import Path

import xarray as xr
import yaml
from table import options, report, seconds

from basins import verbs
from basins.study import jobs
from basins.study.load import load_study

DEMO = Path(__file__).parents[1] / "config" / "demo.yaml"
STAGES = ("train", "rays", "volume", "cube")


def run_study(folder: Path, slow_path: bool, **keys: object) -> tuple[dict[str, float], xr.Dataset]:
    """Run all verbs of the demo study in a folder; return seconds by stage, and the cube."""
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(DEMO.read_text()) | keys))
    with contextlib.chdir(folder):
        study = load_study(file)
        for name in study.datasets:
            verbs.fetch(file, name, jobs.dataset_file(study, name))
        taken = dict.fromkeys(STAGES, 0.0)
        for job in jobs.expand(study):
            minima, rays = jobs.minima_file(study, job.id), jobs.rays_file(study, job.id)
            receipt = jobs.receipt_of(study, job.id)
            how = {"slow_path": slow_path}
            work = {
                "train": partial(verbs.train, file, job.id, receipt, minima, **how),
                "rays": partial(verbs.rays, file, job.id, receipt, minima, rays, **how),
                "volume": partial(
                    verbs.volume, file, job.id, rays, jobs.volumes_file(study, job.id)
                ),
            }
            for stage, action in work.items():
                taken[stage] += seconds(action)
        taken["cube"] = seconds(partial(verbs.cube, file, jobs.cube_file(study)))
        with xr.open_dataset(jobs.cube_file(study)) as cube:
            return taken, cube.load()


def main() -> None:
    """Print the table."""
    parser = options(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = str(asked.threads)
    keys = {"seeds": asked.seeds, "threads": asked.threads}
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("first", "fast", "slow")]
        for place in places:
            place.mkdir()
        # Loads compiled code, or compiles it.
        run_study(places[0], slow_path=False, **keys)
        fast, cube = run_study(places[1], slow_path=False, **keys)
        slow, plain = run_study(places[2], slow_path=True, **keys)
    rows: list[dict[str, object]] = [
        {"stage": stage, "ours (s)": fast[stage], "slow path (s)": slow[stage]} for stage in STAGES
    ]
    rows.append(
        {
            "stage": "all",
            "ours (s)": sum(fast.values()),
            "slow path (s)": sum(slow.values()),
        }
    )
    rows = [row | {"ratio": row["slow path (s)"] / row["ours (s)"]} for row in rows]
    apart = abs(cube.mean_log_radius - plain.mean_log_radius).max().item()
    print(f"mean ln r apart by at most {apart:.2g}, minima trained apart included\n")
    report(f"Study demo, {asked.seeds} seed, every trick off", rows, asked.threads, asked.json)


if __name__ == "__main__":
    main()
