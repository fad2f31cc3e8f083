"""Bytes that a job holds at its peak, and bytes that it writes, from the study alone."""

import math

from basins.cube.axes import axes
from basins.cube.class_table import NUM_DRAWS
from basins.cube.curve_table import curve_axes, curve_table
from basins.cube.distinct_table import distinct_axes, num_bytes
from basins.cube.flatness_table import FLATNESS_BY_MEASURE
from basins.cube.spectrum_table import NODE, SPECTRUM_BY_MEASURE
from basins.cube.variable import MINIMUM, Variable
from basins.device import GRADIENT_PASS_BYTES, PASS_BYTES, rays_together
from basins.figures import explorer_room as room
from basins.flatness.keskar2017sharpness import SUBSPACE
from basins.flatness.lanczos import MAX_STEPS as KRYLOV_STEPS
from basins.flatness.of_minima import MAX_BYTES as BASES_BYTES
from basins.flatness.of_minima import num_nodes
from basins.models.passes import PER_PARAMETERS
from basins.plan import cell_cost, cost, networks
from basins.study import jobs
from basins.study.controls import of_size, trained_on
from basins.study.curves import TRAINED
from basins.study.recipes import kept_epochs, points_placed
from basins.study.schema import Study
from basins.training import schedules
from basins.training.lbfgs import HISTORY
from basins.training.objective import is_misled, is_weighted
from basins.volume.au2001subset import KEPT_CHAINS, MOST_CHAINS, POPULATIONS
from basins.volume.curves import NUM_UNIFORMS
from basins.volume.integration import MAX_KEPT
from basins.volume.intervals import NUM_RESAMPLES
from basins.volume.path import MAX_SEEN, NUM_CHAINS

SCRIPT_BYTES, DETAIL_BYTES = 2.5e6, 1e4  # of a page without minima; of one's curve and lines
FILE_BYTES, VARIABLE_BYTES = 2e4, 1.5e3  # of a file without numbers, and of a variable's attributes

# Verbs of many numbers, or of few in files of their own.
FRAMED = {
    "planes",
    "boundaries",
    "trajectories",
    "minefield",
    "size_planes",
    "curves",
    "distinct",
    "guess",
}


def peak_bytes(study: Study, job: jobs.Job | jobs.Cell, verb: str) -> float:
    """Return the bytes that a job or cell holds at its peak, beside interpreter and libraries."""
    network, facts = networks.job_network(study, job)
    if isinstance(job, jobs.Cell):
        if verb == "minefield":
            # Points, centred, and turned.
            points = 3 * 8.0 * points_placed(study) * network.num_parameters
            return 2.25 * facts.num_bytes + points
        held = _rays_bytes(study, network, facts, 1) + result_bytes(study, job, verb)
        if verb == "curves" and study.measure.curves:
            # Of each curve ends, bend and its moments; of each position a point, a gradient, both
            # again in single precision.
            rows = len(TRAINED) * (study.measure.curves.draws + 6)
            held += 24.0 * rows * network.num_parameters
        if verb == "distinct":
            # All minima, once more in double precision; test examples with both ends' first layers.
            held += 12.0 * len(study.seeds) * network.num_parameters
            outputs = 2 * network.kept(facts.num_test).outputs + 12 * network.held.widest
            held += facts.num_test * 4 * (2 * math.prod(facts.input_shape) + outputs)
        if verb == "guess":
            n, thresholds = network.num_parameters, len(study.measure.volume.thresholds)
            chains = MOST_CHAINS * (8 * n + NUM_UNIFORMS) + KEPT_CHAINS * thresholds * n
            held += 8.0 * POPULATIONS * chains
        return held
    seeds, volume = len(job.seeds), study.measure.volume
    radii = len(study.landscape_sizes) * len(volume.thresholds) * volume.directions
    if verb == "volume":
        return 8.0 * seeds * radii * 4 + NUM_RESAMPLES * volume.directions * 10
    example = 4 * math.prod(facts.input_shape)
    # Read as bytes, turned into float32, normalised.
    data = 2.25 * facts.num_bytes
    if verb in {"train", "transform"}:
        parts = cost.phases_of(study, job)
        # A batch is largest in the last epoch.
        counts = [trained_on(part, job.train_size) for part, _ in parts]
        batch = max(
            schedules.batch_size(part, n - 1, count)
            for (part, n), count in zip(parts, counts, strict=True)
        )
        subset = seeds * max(counts) * example
        is_torch = not network.is_compiled or any(is_weighted(part) for part, _ in parts)
        graph = _pass_bytes(network, seeds, batch, True, seeds) if is_torch else 0.0
        tests = _pass_bytes(network, seeds, max(facts.num_test, *counts), least=seeds)
        memory = max(2 * HISTORY if part.optimizer == "lbfgs" else 0 for part, _ in parts)
        state = (10 + memory) * seeds * 4 * network.num_parameters
        # A compiled network's batch is held once more, block after block; all of it in polishing,
        # and as much as has room, twice, for the gradient at the end.
        if study.recipes[job.recipe].polish:
            batch = max(batch, job.train_size)
        blocks = seeds * batch * example if network.is_compiled else 0
        ends = min(GRADIENT_PASS_BYTES, 2 * subset) if network.is_compiled else 0
        # An epoch's augmented examples lie beside the plain ones.
        held = subset * (1 + any(part.augmentation for part, _ in parts))
        points = len(kept_epochs(of_size(study.recipes[job.recipe], job.train_size)))
        state += seeds * points * 4 * network.num_parameters
        # And poisoned ones beside the clean.
        held += subset * sum(is_misled(part) for part, _ in parts)
        if study.recipes[job.recipe].polish:
            # The plain examples once more, and all that is computed, in double precision.
            held += 2 * seeds * job.train_size * example
            graph, blocks, state = 2 * graph, 2 * blocks, 2 * state
        return data + held + blocks + max(graph, tests, ends) + state
    if verb == "boundaries":
        points = study.measure.boundaries.points if study.measure.boundaries else 0
        # A grid of two numbers, once more in double precision, and its outputs, twice when joined.
        numbers = seeds + 6 + 2 * facts.num_classes
        return data + 4.0 * points**2 * numbers + _pass_bytes(network, 1, points**2)
    subset = study.landscape_sizes[-1] * example
    if verb == "estimate":
        n = network.num_parameters
        asked, hessian = cost.points_asked(study, n)
        # Draws are kept for shapes and for lines of sight as long as there is room.
        drawn = NUM_CHAINS * n * 12 + min(asked * n, MAX_SEEN + 4 * MAX_KEPT)
        passes = _pass_bytes(network, NUM_CHAINS, study.landscape_sizes[-1], with_gradient=True)
        matrices = 4 * n**2 if hessian else 0
        return data + subset + 8.0 * (drawn + matrices) + passes
    if verb == "flatness":
        n = network.num_parameters
        cells = seeds * len(study.landscape_sizes)
        bases = min(BASES_BYTES, 8 * cells * n * min(n, KRYLOV_STEPS))
        vectors = 8 * n * max(study.measure.flatness_options.num_products, SUBSPACE)
        spectra = 8 * n * min(n, 2 * study.measure.flatness_options.num_probes * KRYLOV_STEPS)
        # Examples twice in float64 and those of the test beside them, for losses and for curvature.
        examples = 4 * seeds * (subset + example * facts.num_test)
        # A product of the Hessian with a direction or, of large networks, of an example.
        passes = max(GRADIENT_PASS_BYTES, 8 * (network.held.of_product + 4 * n))
        return data + subset + examples + bases + vectors + spectra + passes
    kept = 8.0 * seeds * radii * 4 if verb == "rays" else result_bytes(study, job, verb)
    return _rays_bytes(study, network, facts, seeds) + kept


def _rays_bytes(
    study: Study, network: networks.NetworkCost, facts: networks.DataFacts, seeds: int
) -> float:
    """Return the bytes that rays of so many minima hold, data included, results not."""
    size = study.landscape_sizes[-1]
    subset = size * 4 * math.prod(facts.input_shape)
    together = min(seeds, rays_together(subset))
    batch = network.rays_together(size)
    outputs = network.kept(size).outputs
    # A compiled network holds its examples once more, and a first layer's sums of every ray.
    directions = batch * 8 * 4 * network.num_parameters + 4 * outputs * size * (batch + together)
    subset *= together * (2 if network.is_compiled else 1)
    return 2.25 * facts.num_bytes + subset + directions + _pass_bytes(network, batch, size)


def _pass_bytes(
    network: networks.NetworkCost,
    points: int,
    examples: int,
    with_gradient: bool = False,
    least: int = 1,
) -> float:
    """Return what a pass over points and examples holds: all, or what of it has room.

    `least` is how many points are in one pass whatever they take.
    """
    example = 4.0 * network.held.alive(with_gradient)
    point = 2 * 4.0 * network.num_parameters
    room = PASS_BYTES
    if with_gradient:
        room = max(GRADIENT_PASS_BYTES, PER_PARAMETERS * least * 4 * network.num_parameters)
    return min(points * (point + examples * example), max(room, least * (point + example)))


def result_bytes(study: Study, job: jobs.Job | jobs.Cell, verb: str) -> float:
    """Return the bytes of a job's or cell's result file."""
    if isinstance(job, jobs.Cell):
        numbers = 6 * points_placed(study)
        if verb == "size_planes" and study.measure.size_planes:
            points = study.measure.size_planes.points
            numbers = cell_cost.planes_charted(study) * len(study.landscape_sizes) * points**2
        if verb == "curves":
            numbers = _curve_numbers(study)
        if verb == "distinct":
            labels = axes(study) | distinct_axes(study)
            numbers = num_bytes({dim: len(values) for dim, values in labels.items()}) // 4
        if verb == "guess":
            basins = len(study.landscape_sizes) * len(study.measure.volume.thresholds)
            numbers = len(job.seeds) * basins * NUM_DRAWS
        return frame_bytes(study, verb) + 4.0 * numbers
    network, _ = networks.job_network(study, job)
    seeds, volume = len(job.seeds), study.measure.volume
    cells = len(study.landscape_sizes) * len(volume.thresholds)
    if verb == "transform":
        return seeds * 4.0 * network.num_parameters
    if verb == "train":
        points = 1 + len(kept_epochs(of_size(study.recipes[job.recipe], job.train_size)))
        return seeds * 4.0 * network.num_parameters * points
    if verb == "flatness":
        numbers = _flatness_numbers(study, network.num_parameters)
        return frame_bytes(study, verb) + 8.0 * seeds * numbers
    if verb == "boundaries":
        points = study.measure.boundaries.points if study.measure.boundaries else 0
        return frame_bytes(study, verb) + 4.0 * seeds * (points**2 + 3 * job.train_size)
    if verb in {"planes", "trajectories"}:
        grid = getattr(study.measure, verb)
        points = grid.points if grid else 0
        return frame_bytes(study, verb) + 4.0 * seeds * len(study.landscape_sizes) * points**2
    if verb == "rays":
        return seeds * (8.0 + 2 + 8) * cells * volume.directions
    return seeds * 8.0 * cells * 10 * max(1, len(jobs.asking_estimators(study)))


def explorer_bytes(study: Study) -> float:
    """Return the bytes of the page for a browser, its figures left out."""
    volume, measure = study.measure.volume, study.measure
    minima = min(sum(len(job.seeds) for job in jobs.expand(study)), room.MOST_MINIMA)
    cells = len(study.landscape_sizes) * len(volume.thresholds) * len(volume.estimators)
    grids = 4 * room.MOST_POINTS**2 * sum(map(bool, (measure.planes, measure.boundaries)))
    each = room.ON_PAGE * (grids + DETAIL_BYTES)
    volumes = min(room.ON_PAGE * 8 * 6 * cells * minima, room.MOST_VOLUME_BYTES)
    return SCRIPT_BYTES + volumes + min(each * minima, room.MOST_DETAIL_BYTES)


def frame_bytes(study: Study, verb: str) -> float:
    """Return the bytes of a job's result file that are not numbers, where they are not few."""
    if verb in FRAMED:
        return FILE_BYTES
    if verb != "flatness":
        return 0.0
    return FILE_BYTES + VARIABLE_BYTES * len(_flatness_variables(study))


def _curve_numbers(study: Study) -> int:
    """Return how many numbers of four bytes a cell's curves have; numbers of eight are two."""
    sizes = {dim: len(labels) for dim, labels in (axes(study) | curve_axes(study)).items()}
    return sum(
        math.prod(sizes[dim] for dim in variable.dims[2:])
        * (2 if variable.dtype == "float64" else 1)
        for variable in curve_table(study).values()
    )


def _flatness_variables(study: Study) -> list[Variable]:
    """Return the variables of flatness and of spectra that a study asks for."""
    return [
        variable
        for tables in (FLATNESS_BY_MEASURE, SPECTRUM_BY_MEASURE)
        for name in study.measure.flatness
        for variable in tables.get(name, {}).values()
    ]


def _flatness_numbers(study: Study, num_parameters: int) -> int:
    """Return how many numbers of flatness and of spectra a minimum has."""
    options = study.measure.flatness_options
    sizes = {
        "landscape_size": len(study.landscape_sizes),
        "box_size": len(options.box_sizes),
        "eigenvalue": options.num_eigenvalues,
        "perturbation": len(options.perturbations),
        NODE: num_nodes(num_parameters, options.num_probes, options.num_steps),
    }
    return sum(
        math.prod(sizes[dim] for dim in variable.dims[len(MINIMUM) :])
        for variable in _flatness_variables(study)
    )
