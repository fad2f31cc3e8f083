"""Verbs before any job: check a study, fetch its data."""

import json
import logging
from pathlib import Path

from basins.atomic import whole_or_not_at_all
from basins.datasets import images
from basins.datasets import load as datasets
from basins.losses import num_outputs
from basins.models.functional import Network, build
from basins.plan.networks import data_facts
from basins.study import jobs
from basins.study.load import load_study
from basins.study.schema import Study
from basins.verbs.job_data import check_network, data_root, load

logger = logging.getLogger("basins")


def check(study: Path) -> None:
    """Check a study file and print what it would run."""
    found = load_study(study)
    check_networks(found)
    blocks = jobs.expand(found)
    minima = sum(len(job.seeds) for job in blocks)
    print(
        f"{study}: study {found.study} is valid: {minima} minima in {len(blocks)} jobs, each "
        f"measured in {len(found.landscape_sizes)} landscapes at "
        f"{len(found.measure.volume.thresholds)} thresholds"
    )


def check_networks(study: Study) -> None:
    """Raise StudyError if a study asks what one of its networks cannot have.

    Builds each network once, with its data set's shape; nothing is read where neither transforms
    nor a subspace nor proximal steps are named.
    """
    is_proximal = any(recipe.optimizer == "proxprop" for recipe in study.recipes.values())
    is_small = study.measure.flatness_options.subspace is not None
    if not (study.transforms or is_proximal or is_small):
        return
    # One output or one a class: all recipes of a study have the same.
    loss = next(iter(study.recipes.values())).loss
    for dataset in study.datasets:
        facts = data_facts(dataset, study.data_root)
        for model in study.models:
            outputs = num_outputs(loss, facts.num_classes)
            network = Network(build(model, facts.input_shape, outputs, 0))
            check_network(study, network, facts.input_shape)


def fetch(study: Path, dataset: str, output: Path) -> None:
    """Fetch a data set, check it against the study, write its receipt."""
    found = load_study(study)
    name = jobs.dataset_named(found, dataset)
    if name in images.SETS:
        images.download(name, data_root(found))
    data = load(found.model_copy(update={"scratch": None}), name)
    with whole_or_not_at_all(output) as partial:
        partial.write_text(json.dumps(datasets.receipt(data), indent=2) + "\n", encoding="utf-8")
    logger.info(
        "%s: %d training and %d test examples", name, len(data.targets), len(data.test_targets)
    )
