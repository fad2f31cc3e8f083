"""What the plan foretold against what the jobs took, by rule: CPU time and peak memory.

Reads the files that Snakemake's `benchmark:` left in a finished run's folder, and prices the same
study as if nothing were done.

    snakemake --cores 2 --configfile config/demo.yaml
    python benchmarks/plan.py results/demo
"""

import csv
from pathlib import Path

from table import options, report

from basins.plan.price import pricer_of
from basins.study import figure_names, jobs
from basins.study.load import load_study


def measured(path: Path) -> tuple[float, float]:
    """Return CPU seconds and peak bytes of one job."""
    with path.open(encoding="utf-8") as file:
        row = next(csv.DictReader(file, delimiter="\t"))
    return float(row["cpu_time"]), 1024**2 * float(row["max_rss"])


def main() -> None:
    """Run and print the table."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=Path("results/demo"),
        help="folder of a finished study (default: results/demo)",
    )
    arguments = parser.parse_args()
    if not (arguments.results / "cube.nc").is_file():
        parser.error(f"{arguments.results} holds no finished study; `make demo` makes one")
    study = load_study(arguments.results / "study.yaml")
    pricer = pricer_of(study)
    pairs = [
        (verb, pricer.job(job, verb), jobs.benchmark_file(study, verb, job.id))
        for verb in jobs.verbs(study)
        for job in jobs.expand(study)
    ]
    pairs += [("cube", pricer.cube(), jobs.benchmark_file(study, "cube", "all"))]
    pairs += [
        ("figure", pricer.figure(), jobs.benchmark_file(study, "figure", name))
        for name in figure_names.figures(study)
    ]
    pairs += [("explorer", pricer.explorer(), jobs.benchmark_file(study, "explorer", "all"))]
    if figure_names.is_animated(study):
        path = jobs.benchmark_file(study, "animation", "landscape")
        pairs.append(("animation", pricer.animation(), path))
    rows: list[dict[str, object]] = []
    totals = [0.0, 0.0]
    for rule in dict.fromkeys(rule for rule, _, _ in pairs):
        listed = [(price, measured(path)) for verb, price, path in pairs if verb == rule]
        foretold = sum(price[0] for price, _ in listed)
        taken = sum(seconds for _, (seconds, _) in listed)
        totals = [totals[0] + foretold, totals[1] + taken]
        memory = [(price[1], peak) for price, (_, peak) in listed]
        rows.append(
            {
                "rule": rule,
                "jobs": len(listed),
                "foretold s": foretold,
                "CPU s": taken,
                "ratio": foretold / taken,
                "foretold peak GB": max(pair[0] for pair in memory) / 1e9,
                "peak GB": max(pair[1] for pair in memory) / 1e9,
                "least memory ratio": min(pair[0] / pair[1] for pair in memory),
            }
        )
    rows.append(
        {"rule": "all", "jobs": len(pairs), "foretold s": totals[0], "CPU s": totals[1]}
        | {"ratio": totals[0] / totals[1]}
        | dict.fromkeys(["foretold peak GB", "peak GB", "least memory ratio"], "")
    )
    title = f"Plan of study {study.study}"
    report(title, rows, arguments.threads, arguments.json)


if __name__ == "__main__":
    main()
