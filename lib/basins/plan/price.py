"""The price of a study: seconds, memory and bytes of every job left to do, and the time of all."""

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, replace

from basins.figures.explorer_room import MOST_MINIMA, ON_PAGE
from basins.plan import calibration, cell_cost, cost, memory, networks
from basins.plan.calibration import Calibration
from basins.plan.remaining import Remaining
from basins.plan.request import Request, request
from basins.study import figure_names, jobs
from basins.study.schema import Study

# CUDA's own libraries, on a machine where no job of it was ever measured.
UNKNOWN_GPU_BYTES = 4e9
# Volumes run one after the other in one job of the cluster, which adds their times up.
LEAST_MINUTES = {
    "train": 10,
    "transform": 10,
    "rays": 10,
    "volume": 1,
    "estimate": 10,
    "flatness": 10,
    "planes": 10,
    "boundaries": 1,
    "trajectories": 10,
    "minefield": 10,
    "size_planes": 10,
    "curves": 10,
    "distinct": 10,
    "guess": 10,
    "cube": 10,
    "figure": 10,
    "explorer": 10,
    "animation": 10,
}
# What comes after all job blocks, in order.
ENDS = ("cube", "figure", "explorer", "animation")
# Of the page for a browser beside what a figure takes: its own, a minimum's, copies in memory.
PAGE_SECONDS, MINIMUM_SECONDS, PAGE_COPIES = 1.5, 0.01, 8
# What one landscape of an animation takes: of a figure's time, and to keep its frames.
ANIMATED_FIGURES, ANIMATED_BYTES = 0.6, 1.5e7
ON_GPU = (
    "train",
    "transform",
    "rays",
    "estimate",
    "flatness",
    "planes",
    "boundaries",
    "trajectories",
    "minefield",
    "size_planes",
    "curves",
    "distinct",
    "guess",
)
# Losses, gradients and products at points of their own choice; trainings of no epoch; and lines.
PRICED_AS = {
    "flatness": "estimate",
    "transform": "train",
    "planes": "rays",
    "boundaries": "train",
    "trajectories": "rays",
    "minefield": "train",
    "size_planes": "rays",
    "curves": "estimate",
    "distinct": "estimate",
    "guess": "estimate",
}


@dataclass(frozen=True)
class RulePrice:
    """What the jobs of one rule take together.

    Attributes
    ----------
    rule
        Name of the rule.
    num_jobs
        Jobs to be done.
    seconds
        Of all jobs together.
    longest
        Seconds of the longest job.
    peak_bytes
        Memory of the largest job.
    result_bytes
        Bytes that all jobs write.
    on_gpu
        Whether the jobs compute on a GPU.
    """

    rule: str
    num_jobs: int
    seconds: float
    longest: float
    peak_bytes: float
    result_bytes: float
    on_gpu: bool


class Pricer:
    """Prices the jobs of one study; jobs that differ in nothing but their seeds cost the same."""

    def __init__(self, study: Study, compute: Calibration, cpu: Calibration) -> None:
        self.study = study
        self.compute = compute
        self.cpu = cpu
        self._largest: dict[str, Request] = {}
        self._known: dict[tuple[object, ...], tuple[float, float, float]] = {}

    def job(
        self, job: jobs.Job | jobs.Cell, verb: str, at_worst: bool = False
    ) -> tuple[float, float, float]:
        """Return seconds, peak bytes and result bytes of one job or cell, expected or at worst."""
        alike = (verb, replace(job, seeds=()), len(job.seeds), at_worst)
        if alike not in self._known:
            self._known[alike] = self._price(job, verb, at_worst)
        return self._known[alike]

    def _price(
        self, job: jobs.Job | jobs.Cell, verb: str, at_worst: bool
    ) -> tuple[float, float, float]:
        prices = self.cpu if verb == "volume" else self.compute
        if isinstance(job, jobs.Cell):
            counted = cell_cost.counts(self.study, job, verb, prices.per_ray, at_worst)
        else:
            counted = cost.counts(self.study, job, verb, prices.per_ray, at_worst)
        priced = PRICED_AS.get(verb, verb)
        seconds = prices.start_seconds[priced] + prices.price(priced, counted)
        if verb != "volume":
            facts = networks.data_facts(job.dataset, self.study.data_root)
            seconds += prices.data_seconds_per_byte * facts.num_bytes
        peak = prices.start_bytes[priced] + memory.peak_bytes(self.study, job, verb)
        return seconds, peak, memory.result_bytes(self.study, job, verb)

    def cube(self) -> tuple[float, float, float]:
        """Return seconds, peak bytes and result bytes of merging the cube."""
        listed = jobs.expand(self.study)
        merged = {job: jobs.verbs_of(self.study, job) for job in listed}
        files = sum(len(verbs) for verbs in merged.values())
        # Of what jobs write, the cube holds the numbers alone so many times.
        written = sum(
            self.job(job, verb)[2] - memory.frame_bytes(self.study, verb)
            for job in listed
            for verb in merged[job][1:]
        )
        for cell, verb in itertools.product(jobs.cells(self.study), jobs.cell_verbs(self.study)):
            files += 1
            written += self.job(cell, verb)[2] - memory.frame_bytes(self.study, verb)
        seconds = self.cpu.start_seconds["cube"] + files * self.cpu.file_seconds
        return seconds, self.cpu.start_bytes["cube"] + written, written

    def figure(self) -> tuple[float, float, float]:
        """Return seconds, peak bytes and result bytes of one figure."""
        return self.cpu.start_seconds["figure"], self.cpu.start_bytes["figure"], 2e5

    def explorer(self) -> tuple[float, float, float]:
        """Return seconds, peak bytes and result bytes of the page for a browser."""
        # It starts as a figure does: the cube is opened, drawing is imported.
        seconds, peak, picture = self.figure()
        minima = min(sum(len(job.seeds) for job in jobs.expand(self.study)), MOST_MINIMA)
        written = memory.explorer_bytes(self.study)
        written += ON_PAGE * picture * len(figure_names.figures(self.study))
        return (
            seconds + PAGE_SECONDS + MINIMUM_SECONDS * minima,
            peak + PAGE_COPIES * written,
            written,
        )

    def animation(self) -> tuple[float, float, float]:
        """Return seconds, peak bytes and result bytes of the animation."""
        seconds, peak, written = self.figure()
        landscapes = len(self.study.landscape_sizes)
        return (
            seconds * (1 + ANIMATED_FIGURES * landscapes),
            peak + ANIMATED_BYTES * landscapes,
            written * landscapes,
        )

    def fetch(self, dataset: str) -> tuple[float, float, float]:
        """Return seconds, peak bytes and result bytes of checking a data set that is there."""
        num_bytes = networks.data_facts(dataset, self.study.data_root).num_bytes
        seconds = self.cpu.start_seconds["fetch"] + self.cpu.data_seconds_per_byte * num_bytes
        return seconds, self.cpu.start_bytes["fetch"] + 2.25 * num_bytes, 500.0

    def request(self, verb: str, job: jobs.Job | jobs.Cell | None = None) -> Request:
        """Return what to ask a cluster for; those of `ENDS` have no job block."""
        if job is None:
            seconds, peak, _ = getattr(self, verb)()
        else:
            seconds, peak, _ = self.job(job, verb, at_worst=True)
        is_unknown = self.study.device != "cpu" and self.compute.kind == "cpu"
        if is_unknown and verb in ON_GPU:
            peak += UNKNOWN_GPU_BYTES
        return request(seconds, peak, LEAST_MINUTES[verb])

    def largest(self, verb: str) -> Request:
        """Return what covers every job of a rule."""
        if verb in ENDS:
            return self.request(verb)
        if verb not in self._largest:
            if verb in jobs.cell_verbs(self.study):
                asked = {self.request(verb, cell) for cell in jobs.cells(self.study)}
            else:
                asked = {
                    self.request(verb, job)
                    for job in jobs.expand(self.study)
                    if verb in jobs.verbs_of(self.study, job)
                }
            self._largest[verb] = Request(
                max(one.mem_mb for one in asked), max(one.minutes for one in asked)
            )
        return self._largest[verb]


def pricer_of(study: Study) -> Pricer:
    """Return the prices of a study by the newest calibrations there are."""
    wanted = "cpu" if study.device == "cpu" else "cuda"
    cpu = calibration.find("cpu")[0] or calibration.packaged()
    return Pricer(study, calibration.find(wanted)[0] or cpu, cpu)


def rule_prices(pricer: Pricer, left: Remaining, on_gpu: bool) -> list[RulePrice]:
    """Return the price of each rule's remaining jobs, in the order of the workflow."""
    parts: list[tuple[str, list[tuple[float, float, float]]]] = [
        ("fetch", [pricer.fetch(name) for name in left.datasets]),
        *((verb, [pricer.job(job, verb) for job in left.blocks[verb]]) for verb in left.blocks),
        ("cube", [] if left.has_cube else [pricer.cube()]),
        ("figure", [pricer.figure() for _ in left.figures]),
        ("explorer", [] if left.has_explorer else [pricer.explorer()]),
    ]
    if figure_names.is_animated(pricer.study):
        parts.append(("animation", [] if left.has_animation else [pricer.animation()]))
    return [
        RulePrice(
            rule=rule,
            num_jobs=len(listed),
            seconds=sum(seconds for seconds, _, _ in listed),
            longest=max((seconds for seconds, _, _ in listed), default=0.0),
            peak_bytes=max((peak for _, peak, _ in listed), default=0.0),
            result_bytes=sum(written for _, _, written in listed),
            on_gpu=on_gpu and rule in ON_GPU,
        )
        for rule, listed in parts
    ]


def chains(pricer: Pricer, left: Remaining) -> Counter[tuple[float, ...]]:
    """Return the seconds of each verb of every job block left, and how many blocks are alike.

    A cell's verbs are chains of one: they wait for its minima, but for no other result.

    Verbs are those of a block whose minima are trained; one whose minima are transformed has that
    as its first.
    """
    every = dict.fromkeys(job for listed in left.blocks.values() for job in listed)
    of_blocks = [
        tuple(
            pricer.job(job, verb)[0] if job in left.blocks[verb] else 0.0
            for verb in jobs.verbs_of(pricer.study, job)
        )
        for job in every
        if isinstance(job, jobs.Job)
    ]
    of_cells = [
        (pricer.job(cell, verb)[0],)
        for verb in jobs.cell_verbs(pricer.study)
        for cell in left.blocks[verb]
    ]
    return Counter([*of_blocks, *of_cells])


def ends(prices: list[RulePrice]) -> tuple[float, float]:
    """Return the seconds before the first and after the last job block."""
    longest = {price.rule: price.longest for price in prices}
    # The page waits for the figures, the animation for the cube alone.
    drawn = max(longest["figure"] + longest["explorer"], longest.get("animation", 0.0))
    return longest["fetch"], longest["cube"] + drawn


def wall_seconds(
    blocks: Counter[tuple[float, ...]], num_gpus: int, num_cpus: int, before: float, after: float
) -> float:
    """Return the expected time of a run: each worker takes the next job that is ready.

    Parameters
    ----------
    blocks
        Chains of seconds (train, rays, volume, and estimate if asked for), and how many there are
        of each.
    num_gpus, num_cpus
        Workers: the second for volume, the first for all else. With no GPU all jobs share
        `num_cpus`.
    before, after
        Seconds of what comes before all blocks and after them.
    """
    fast = [0.0] * (num_gpus or num_cpus)
    slow = [0.0] * num_cpus if num_gpus else fast
    # (when it is ready, order, chain, step): jobs start in the order in which they get ready.
    ready = [(0.0, index, chain, 0) for index, chain in enumerate(blocks.elements())]
    heapq.heapify(ready)
    last = 0.0
    while ready:
        at, index, chain, step = heapq.heappop(ready)
        workers = slow if step == 2 else fast
        start = max(at, workers[0])
        end = start + chain[step] if chain[step] else at
        if chain[step]:
            heapq.heapreplace(workers, end)
        last = max(last, end)
        if step < len(chain) - 1:
            heapq.heappush(ready, (end, index, chain, step + 1))
    return before + last + after


def longest_chain(blocks: Counter[tuple[float, ...]], before: float, after: float) -> float:
    """Return the seconds of the longest chain of jobs, which no number of workers shortens."""
    return before + max((sum(chain) for chain in blocks), default=0.0) + after


def seeds_per_job(pricer: Pricer, minutes: float = 5.0) -> tuple[int, float]:
    """Return the block of seeds whose jobs last `minutes` if any does, and the longest's minutes.

    The largest job of the study decides: blocks are the same for all train sizes.
    """
    study = pricer.study
    largest = max(jobs.expand(study), key=lambda job: pricer.job(job, "train")[0])
    chosen, lasts = 1, 0.0
    for size in range(1, len(study.seeds) + 1):
        block = replace(largest, seeds=tuple(range(size)))
        listed = [verb for verb in jobs.verbs_of(study, block) if verb in ON_GPU]
        longest = max(pricer.job(block, verb)[0] for verb in listed) / 60
        if size == 1 or longest <= minutes:
            chosen, lasts = size, longest
    return chosen, lasts
