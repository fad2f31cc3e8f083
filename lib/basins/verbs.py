"""What each verb of the command line does: one workflow job a function."""

import importlib
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from basins import device as devices
from basins.atomic import whole_or_not_at_all
from basins.cube import generated as cube_generated
from basins.cube import read, schema, write
from basins.cube.merge import merge
from basins.cube.provenance import Clock
from basins.cube.summary import summarize
from basins.datasets import images, subsets
from basins.datasets import load as datasets
from basins.datasets.scratch import local_root
from basins.datasets.subsets import Data
from basins.directions.coordinates import scaling
from basins.losses import num_outputs
from basins.models.functional import Network, build, initial_parameters
from basins.plan import calibrate as calibrating
from basins.plan import calibration as calibrations
from basins.plan import table
from basins.progress import progress
from basins.rays.landscapes import Landscapes
from basins.rays.measure_rays import RaySet, measure_rays
from basins.rays.torch_path import TorchEvaluator
from basins.slurm import queue
from basins.study import generated as study_generated
from basins.study import jobs
from basins.study.load import load_study
from basins.study.schema import Study, StudyError
from basins.training import checkpoint
from basins.training.loop import train as train_minima
from basins.volume.from_rays import volumes

logger = logging.getLogger("basins")


def check(study: Path) -> None:
    """Check a study file and print what it would run."""
    found = load_study(study)
    blocks = jobs.expand(found)
    minima = sum(len(job.seeds) for job in blocks)
    print(
        f"{study}: study {found.study} is valid: {minima} minima in {len(blocks)} jobs, each "
        f"measured in {len(found.landscape_sizes)} landscapes at "
        f"{len(found.measure.volume.thresholds)} thresholds"
    )


def fetch(study: Path, dataset: str, output: Path) -> None:
    """Fetch a data set, check it against the study, write its receipt."""
    found = load_study(study)
    name = jobs.dataset_named(found, dataset)
    if name in images.SETS:
        images.download(name, _data_root(found))
    data = _load(found.model_copy(update={"scratch": None}), name)
    with whole_or_not_at_all(output) as partial:
        partial.write_text(json.dumps(datasets.receipt(data), indent=2) + "\n", encoding="utf-8")
    logger.info(
        "%s: %d training and %d test examples", name, len(data.targets), len(data.test_targets)
    )


def train(study: Path, job: str, receipt: Path, output: Path) -> None:
    """Train the minima of one job, resuming where a killed run stopped."""
    found, block = _find(study, job)
    device = devices.set_up(found.device, found.threads)
    clock = Clock("train", device, "float32")
    data = _load(found, block.dataset)
    datasets.check_receipt(data, receipt)
    recipe = found.recipes[block.recipe]
    network = _network(block, data, recipe.loss).to(device, torch.float32)
    order = _orders(found, data, block.seeds)[:, : block.train_size]
    theta = torch.stack([_initial(found, block, data, recipe.loss, seed) for seed in block.seeds])
    fingerprint = jobs.fingerprint(found, block.id, "train")
    saved = jobs.checkpoint_file(found, block.id)
    with progress(f"training {block.id}", recipe.epochs, "epochs") as advance:
        minima = train_minima(
            network,
            recipe,
            theta.to(device),
            torch.from_numpy(data.inputs[order]).to(device),
            torch.from_numpy(data.targets[order]).to(device),
            torch.from_numpy(data.test_inputs).to(device),
            torch.from_numpy(data.test_targets).to(device),
            block.seeds,
            saved=saved,
            # A data set changed and fetched again between kill and resume starts over.
            fingerprint=f"{fingerprint} {data.sha256()}",
            advance=advance,
        )
    batch = block.train_size
    if recipe.batch_size != "full":
        batch = min(batch, recipe.batch_size)
    noise_scale = recipe.learning_rate * (block.train_size / batch - 1)
    scalars = {
        "train_loss": minima.train_loss,
        "test_loss": minima.test_loss,
        "train_accuracy": minima.train_accuracy,
        "test_accuracy": minima.test_accuracy,
        "weight_norm": minima.weight_norm,
        "gradient_norm": minima.gradient_norm,
        "epochs": minima.epochs,
        "noise_scale": np.full(len(block.seeds), noise_scale),
        "training_status": np.where(minima.is_diverged, 3, 1).astype(np.int8),
    }
    root = _job_file(
        "minima",
        block,
        fingerprint,
        {"parameters": (("seed", "parameter"), minima.parameters)}
        | {name: (("seed",), values) for name, values in scalars.items()},
    )
    root.attrs["num_parameters"] = network.num_parameters
    root.attrs["input_normalization"] = data.input_normalization
    curve = np.tile(minima.history_epoch.astype(np.float64), (len(block.seeds), 1))
    history = xr.Dataset(
        {
            "train_loss": (("seed", "step"), minima.history_train_loss),
            "epoch": (("seed", "step"), curve),
        }
    )
    groups = {"/": root, "/history": history, "/provenance": clock.record()}
    _publish(study, block, "train", output, groups)
    checkpoint.discard(saved)


def rays(study: Path, job: str, receipt: Path, minima: Path, output: Path) -> None:
    """Solve the radii of one job's minima in every landscape."""
    found, block = _find(study, job)
    settings = found.measure.volume
    device = devices.set_up(found.device, found.threads)
    clock = Clock("rays", device, settings.dtype)
    with read.open_job(minima, "minima", jobs.fingerprint(found, block.id, "train")) as file:
        parameters = file["parameters"][()]
    data = _load(found, block.dataset)
    datasets.check_receipt(data, receipt)
    loss = found.recipes[block.recipe].loss
    network = _network(block, data, loss)
    order = _orders(found, data, block.seeds)[:, : found.landscape_sizes[-1]]
    dtype = torch.float32 if settings.dtype == "float32" else torch.float64
    measured: list[RaySet] = []
    log_dets: list[float] = []
    total = settings.directions * len(block.seeds)
    with progress(f"rays of {block.id}", total, "directions") as advance:
        for row, seed in enumerate(block.seeds):
            anchor = parameters[row].astype(np.float64)
            scale, log_det = scaling(
                network.layout, anchor, settings.coordinates, settings.bias_scale
            )
            examples = Landscapes(
                torch.from_numpy(data.inputs[order[row]]),
                torch.from_numpy(data.targets[order[row]]),
                tuple(found.landscape_sizes),
                loss,
            )
            theta = torch.from_numpy(anchor).to(device=device, dtype=dtype)
            log_dets.append(log_det)
            measured.append(
                measure_rays(
                    TorchEvaluator(network, theta, examples),
                    (found.study, jobs.minimum_name(block, seed)),
                    range(settings.directions),
                    scale,
                    len(found.landscape_sizes),
                    settings.thresholds,
                    settings.threshold_kind,
                    settings.r_max or 10 * float(np.linalg.norm(anchor / scale)),
                    settings.scan_points,
                    advance,
                )
            )
    basin = ("seed", "landscape_size", "threshold", "direction")
    dims: dict[str, tuple[str, ...]] = {
        "log_radius": basin,
        "num_crossings": basin,
        "log_radius_tolerance": basin,
        "log_direction_norm": ("seed", "direction"),
        "landscape_loss": ("seed", "landscape_size"),
        "num_evaluations": ("seed", "landscape_size"),
        "r_max": ("seed",),
    }
    variables: dict[str, Any] = {
        name: (axes, np.stack([getattr(one, name) for one in measured]))
        for name, axes in dims.items()
    }
    variables["log_det_coordinates"] = (("seed",), np.array(log_dets))
    root = _job_file("rays", block, jobs.fingerprint(found, block.id, "rays"), variables)
    root.attrs["num_parameters"] = network.num_parameters
    _publish(study, block, "rays", output, {"/": root, "/provenance": clock.record()})


def volume(study: Path, job: str, rays: Path, output: Path) -> None:
    """Turn the radii of one job into volumes."""
    found, block = _find(study, job)
    settings = found.measure.volume
    clock = Clock("volume", devices.set_up("cpu", found.threads), "float64")
    with read.open_job(rays, "rays", jobs.fingerprint(found, block.id, "rays")) as file:
        names = ("log_radius", "num_crossings", "log_direction_norm", "num_evaluations")
        arrays = {name: file[name][()] for name in names}
        num_parameters = int(file.attrs["num_parameters"].item())
    results = [
        volumes(
            arrays["log_radius"][row],
            arrays["num_crossings"][row],
            arrays["log_direction_norm"][row],
            num_parameters,
            settings.coordinates == "filter" and settings.bias_scale == "one",
        )
        for row in range(len(block.seeds))
    ]
    basin = ("seed", "landscape_size", "threshold")
    variables: dict[str, Any] = {
        name: ((*basin, "estimator"), np.stack([one.by_estimator[name] for one in results]))
        for name in results[0].by_estimator
    }
    variables |= {
        name: (basin, np.stack([one.by_basin[name] for one in results]))
        for name in results[0].by_basin
    }
    evaluations = arrays["num_evaluations"].astype(np.float64)[:, :, None, None]
    shape = variables["log_volume"][1].shape
    variables["num_evaluations"] = ((*basin, "estimator"), np.broadcast_to(evaluations, shape))
    root = _job_file("volumes", block, jobs.fingerprint(found, block.id, "volume"), variables)
    _publish(study, block, "volume", output, {"/": root, "/provenance": clock.record()})


def cube(study: Path, output: Path) -> None:
    """Merge all job files of a study into its cube."""
    found = load_study(study)
    with progress("merging", 4 * len(jobs.expand(found)), "files") as advance:
        merge(found, output, advance)


def figure(cube: Path, name: str, png: Path, pdf: Path, threshold: float | None = None) -> None:
    """Draw one figure from a cube."""
    from basins.figures.save import save

    if name not in jobs.FIGURES:
        raise ValueError(f"--name: {name!r} is not a figure; allowed are {', '.join(jobs.FIGURES)}")
    drawing = importlib.import_module(f"basins.figures.{name}")
    with read.open_cube(cube) as opened:
        save(drawing.draw(opened, threshold), png, pdf)


def show(cube: Path) -> None:
    """Print a readable summary of a cube."""
    with read.open_cube(cube) as opened:
        schema.validate(opened, "/")
        print(summarize(opened))


def plan(
    study: Path,
    gpus: int | None = None,
    cpus: int | None = None,
    calibration: Path | None = None,
    as_json: bool = False,
) -> None:
    """Print what is left of a study and what it will cost."""
    found = load_study(study)
    priced = table.plan(found, gpus, cpus, calibration)
    if as_json:
        print(json.dumps(table.as_json(priced), indent=2))
    else:
        print(table.text(priced, found.seeds_per_job))


def calibrate(device: str, threads: int, seconds: float, output: Path | None = None) -> None:
    """Measure what this machine takes to train and to measure, and keep it for plans."""
    measured = calibrating.calibrate(device, threads, seconds)
    path = output or jobs.calibration_file(measured.device, measured.threads)
    calibrations.save(measured, path)
    worst = max(measured.misfit.values())
    logger.info("%s: %s, fitted within a factor %.2f", path, measured.device, worst)


def orphans(should_cancel: bool, should_wait: bool) -> None:
    """Say which jobs of earlier runs SLURM still has for this folder; cancel or await them."""
    here = Path.cwd()
    left = queue.queued(here)
    print(queue.describe(left))
    if should_cancel:
        queue.cancel(left)
        print(f"Cancelled {len(left)} jobs.")
    if should_wait:
        queue.wait(here)
        print("All have ended.")


def generate(root: Path) -> None:
    """Write the files generated from the code."""
    study_generated.generate(root)
    cube_generated.generate(root)


def _find(study: Path, job: str) -> tuple[Study, jobs.Job]:
    found = load_study(study)
    return found, jobs.find(found, job)


def _publish(
    study: Path, block: jobs.Job, verb: str, output: Path, groups: dict[str, xr.Dataset]
) -> None:
    """Write the file of a job that may not be the only one of its name.

    A killed submitter leaves jobs behind, and its successor starts the same ones again. The first
    to end writes; the last finds the same results and leaves them and their time stamp alone, or
    finds that the study has changed since it began and writes nothing.
    """
    fingerprint = groups["/"].attrs["fingerprint"]
    if jobs.fingerprint(load_study(study), block.id, verb) != fingerprint:
        raise StudyError(
            f"{study}: the study was changed while this job ran; its result is not written to "
            f"{output}"
        )
    if write.holds(output, groups):
        logger.info("%s: another process has written the same results; they stay", output)
        return
    write.write_netcdf(output, groups)


def _data_root(study: Study) -> Path | None:
    return Path(study.data_root) if study.data_root else None


def _load(study: Study, dataset: str) -> Data:
    root = _data_root(study)
    if study.scratch and dataset in images.SETS:
        files = images.SETS[dataset].files
        root = local_root(dataset, files, images.data_root(root), study.scratch)
    data = datasets.load(dataset, root)
    for key, sizes in (("train", study.train_sizes), ("landscape", study.landscape_sizes)):
        # Built-in data sets were checked before; the size of a user's own is known only now.
        if sizes[-1] > len(data.targets):
            raise StudyError(
                f"{key}_sizes: {sizes[-1]} is more than the {len(data.targets)} training "
                f"examples of {dataset}"
            )
    return data


def _network(block: jobs.Job, data: Data, loss: str) -> Network:
    return Network(build(block.model, data.input_shape, num_outputs(loss, data.num_classes), 0))


def _initial(study: Study, block: jobs.Job, data: Data, loss: str, seed: int) -> torch.Tensor:
    """Return the start of a seed, the same for all recipes and train sizes."""
    chosen = seed if study.initialization_seed is None else study.initialization_seed
    outputs = num_outputs(loss, data.num_classes)
    return initial_parameters(
        block.model, data.input_shape, outputs, block.model, block.dataset, chosen
    )


def _orders(study: Study, data: Data, seeds: tuple[int, ...]) -> NDArray[np.int64]:
    """Return each seed's order of the training examples, shape (seeds, examples)."""
    chosen = [seed if study.subset_seed is None else study.subset_seed for seed in seeds]
    return np.stack(
        [subsets.order(data.name, data.targets, seed, study.class_balanced) for seed in chosen]
    )


def _job_file(
    kind: str, block: jobs.Job, fingerprint: str, variables: dict[str, Any]
) -> xr.Dataset:
    dataset = xr.Dataset(variables, coords={"seed": list(block.seeds)})
    for name, variable in dataset.data_vars.items():
        described = schema.ROOT.get(str(name)) or schema.RAYS.get(str(name))
        if described is not None:
            variable.attrs = described.attributes()
    dataset.attrs = {
        "Conventions": schema.CONVENTIONS,
        "kind": kind,
        "job": block.id,
        "fingerprint": fingerprint,
    }
    return dataset
