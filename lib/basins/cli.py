"""The command line: every workflow job is one verb, runnable by hand.

Each verb is a function of `basins.verbs` with the same name; nothing heavy is imported before a
verb runs, so `basins --help` is instant.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

logger = logging.getLogger("basins")

VERBS = {
    "check": "check a study file and say what it would run",
    "fetch": "fetch a data set, check it, write its receipt",
    "train": "train the minima of one job",
    "transform": "change the minima of a job but not their function, or take an earlier epoch's",
    "rays": "solve the radii of one job's minima in every landscape",
    "volume": "turn the radii of one job into volumes",
    "estimate": "measure volumes of one job's minima by annealing and the like",
    "flatness": "measure sharpness and curvature of one job's minima",
    "planes": "compute losses in a random plane through each of one job's minima",
    "boundaries": "compute the decision boundaries of one job's minima",
    "trajectories": "compute losses in the principal planes of the paths to one job's minima",
    "size_planes": "compute losses in planes through minima of three train sizes",
    "minefield": "place all minima of a model and data set, and paths of training, in a plane",
    "curves": "train curves between minima of a model and data set, and measure along them",
    "distinct": "count the different minima that the seeds of a model and data set find",
    "guess": "measure all solutions of a model and data set together, found by training or not",
    "cube": "merge all job files of a study into its cube",
    "figure": "draw one figure from a cube",
    "explore": "write a page of a study for a browser: minima to filter and click, figures",
    "animate": "write an animation of the loss in a plane as the landscape grows",
    "show": "print a readable summary of a cube",
    "rank": "rank the measures of a cube by how they go with the generalization gap",
    "scaling": "fit how volumes go with the number of examples, and hold laws against each other",
    "plan": "say what is left of a study and what it will cost: jobs, hours, memory, bytes",
    "calibrate": "measure what this machine takes to train and to measure, for `basins plan`",
    "orphans": "list, await or cancel the SLURM jobs that a killed run of this folder left behind",
    "generate": "write the files generated from the code (schema, key table, cube specification)",
}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="basins",
        description="Measure how large the basin around a trained minimum is. Each verb is one "
        "job of the workflow; `snakemake` runs them all.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=VERBS[name], description=VERBS[name].capitalize() + ".")

    def add(command: argparse.ArgumentParser, *options: str) -> None:
        texts = {
            "--study": "study file",
            "--job": "job as model/dataset/recipe[@transform]/n<train size>/seeds-<first>-<last>",
            "--cell": "all minima of a model and data set, as model/dataset",
            "--dataset": "name of the data set",
            "--receipt": "receipt of the data set, from `basins fetch`",
            "--minima": "minima of the job (`transform`: of the one it changes)",
            "--rays": "radii of the job, from `basins rays`",
            "--cube": "cube of the study, from `basins cube`",
            "--output": "file to write, whole or not at all",
        }
        for option in options:
            is_file = option not in {"--job", "--cell", "--dataset"}
            command.add_argument(
                option, required=True, type=Path if is_file else str, help=texts[option]
            )
        command.add_argument("--log", type=Path, help="also write the log to this file")

    check = verb("check")
    check.add_argument("study", type=Path, help="study file")
    add(verb("fetch"), "--study", "--dataset", "--output")
    train, rays = verb("train"), verb("rays")
    add(train, "--study", "--job", "--receipt", "--output")
    add(rays, "--study", "--job", "--receipt", "--minima", "--output")
    for command in (train, rays):
        command.add_argument(
            "--slow-path", action="store_true", help="by the plain reference, to compare with"
        )
    add(verb("volume"), "--study", "--job", "--rays", "--output")
    for name in ("transform", "estimate", "flatness", "planes", "boundaries", "trajectories"):
        add(verb(name), "--study", "--job", "--receipt", "--minima", "--output")
    for name in ("minefield", "size_planes", "curves", "distinct", "guess"):
        add(verb(name), "--study", "--cell", "--receipt", "--output")
    add(verb("cube"), "--study", "--output")
    figure = verb("figure")
    add(figure)
    figure.add_argument(
        "--cube",
        required=True,
        type=Path,
        nargs="+",
        help="cube of the study; of several for figures across studies",
    )
    figure.add_argument("--name", required=True, help="name of the figure")
    figure.add_argument("--png", required=True, type=Path, help="PNG file to write")
    figure.add_argument("--pdf", required=True, type=Path, help="PDF file to write")
    figure.add_argument(
        "--threshold", type=float, help="threshold to draw (default: the cube's middle one)"
    )
    explore = verb("explore")
    add(explore, "--cube", "--output")
    explore.add_argument("--figures", type=Path, help="folder of the study's PNG figures")
    explore.add_argument(
        "--captions", type=Path, help="file of their captions (workflow/report/figure.rst)"
    )
    animate = verb("animate")
    add(animate, "--cube", "--output")
    animate.add_argument(
        "--threshold", type=float, help="threshold to draw (default: the cube's middle one)"
    )
    for name in ("model", "dataset", "recipe"):
        animate.add_argument(f"--{name}", help=f"{name} of the minimum (default: the first)")
    animate.add_argument(
        "--train-size", type=int, help="examples it was trained on (default: the most)"
    )
    animate.add_argument("--seed", type=int, help="seed of the minimum (default: the first)")
    show = verb("show")
    show.add_argument("cube", type=Path, help="cube of a study, or one of its job files")
    rank = verb("rank")
    rank.add_argument("cube", type=Path, help="cube of a study")
    rank.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    scaling = verb("scaling")
    scaling.add_argument("cubes", type=Path, nargs="+", help="cubes of studies")
    scaling.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    plan = verb("plan")
    plan.add_argument("study", type=Path, help="study file")
    plan.add_argument("--gpus", type=int, help="GPUs the wall time assumes (default: 1)")
    plan.add_argument("--cpus", type=int, help="CPU workers (default: this machine's)")
    plan.add_argument("--calibration", type=Path, help="file of `basins calibrate` to price by")
    plan.add_argument("--json", dest="as_json", action="store_true", help="print JSON")
    calibrate = verb("calibrate")
    calibrate.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="what to measure"
    )
    calibrate.add_argument(
        "--threads", type=int, default=1, help="CPU threads of a job (default: 1)"
    )
    calibrate.add_argument(
        "--seconds", type=float, default=60.0, help="how long to measure (default: 60)"
    )
    calibrate.add_argument("--output", type=Path, help="file to write (default: in results)")
    orphans = verb("orphans")
    action = orphans.add_mutually_exclusive_group()
    action.add_argument(
        "--cancel", dest="should_cancel", action="store_true", help="cancel these jobs"
    )
    action.add_argument(
        "--wait", dest="should_wait", action="store_true", help="return when all have ended"
    )
    generate = verb("generate")
    generate.add_argument(
        "--root", type=Path, default=Path(), help="folder of the checkout (default: this one)"
    )
    return parser


def log_to(path: Path | None) -> None:
    """Send the log to standard error and, with tracebacks, to the file `path` if it is given."""
    console = logging.StreamHandler()
    console.setLevel(logging.INFO)
    handlers: list[logging.Handler] = [console]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(path, mode="w"))
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(message)s", handlers=handlers, force=True
    )
    logger.setLevel(logging.DEBUG)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one verb; bad input ends with one sentence and exit status 2."""
    options = vars(build_parser().parse_args(arguments))
    name = options.pop("verb")
    log_to(options.pop("log", None))
    from basins import verbs

    try:
        getattr(verbs, name)(**options)
    except (ValueError, OSError) as error:
        logger.error("basins %s: %s", name, error)
        logger.debug("traceback", exc_info=True)
        sys.exit(2)
