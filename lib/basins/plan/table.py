"""The plan for people and for programs: what is left to do, what it takes, what it rests on."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from basins.plan import calibration, price
from basins.plan.calibration import Calibration
from basins.plan.price import Pricer, RulePrice
from basins.plan.remaining import Remaining, remaining
from basins.study.schema import Study

BYTES = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True)
class Plan:
    """What a study will cost.

    Attributes
    ----------
    study
        Its name.
    rules
        The price of each rule's remaining jobs.
    num_gpus, num_cpus
        Workers that the wall time assumes; a CPU worker is one job with the study's threads.
    wall_seconds, chain_seconds
        Expected time of the run, and of the longest chain of jobs in it.
    gpu_hours
        None where GPUs are wanted and none was ever measured.
    cpu_hours
        Hours of CPU workers, the CPU side of GPU jobs included.
    seeds_per_job, minutes_per_job
        The block of seeds that makes jobs of minutes, and how long the longest lasts then.
    reasons
        Why jobs are done, by verb, with their number.
    calibrations
        What the prices rest on, in words.
    """

    study: str
    rules: list[RulePrice]
    num_gpus: int
    num_cpus: int
    wall_seconds: float
    chain_seconds: float
    gpu_hours: float | None
    cpu_hours: float
    seeds_per_job: int
    minutes_per_job: float
    reasons: dict[str, dict[str, int]]
    calibrations: list[str]


def plan(
    study: Study,
    num_gpus: int | None = None,
    num_cpus: int | None = None,
    path: Path | None = None,
    left: Remaining | None = None,
) -> Plan:
    """Price what is left of a study.

    Parameters
    ----------
    study
        The study.
    num_gpus, num_cpus
        Workers; default one GPU if the study may use one and one was calibrated, and this machine's
        CPUs.
    path
        A calibration file; default the newest for the device the study asks for.
    left
        What is left to do, if that is known already.

    Raises
    ------
    ValueError
        If a number of workers is not positive, or the calibration cannot be read.
    """
    for name, number in (("--gpus", num_gpus), ("--cpus", num_cpus)):
        if number is not None and number <= 0:
            raise ValueError(f"{name}: {number} is not possible; allowed are numbers above 0")
    wanted = "cpu" if study.device == "cpu" else "cuda"
    compute, source = calibration.find(wanted, path)
    cpu, cpu_source = calibration.find("cpu", path if compute and compute.kind == "cpu" else None)
    if cpu is None:
        raise ValueError("there is no calibration of a CPU; `basins calibrate` makes one")
    on_gpu = compute is not None and compute.kind == "cuda"
    used = [_words(compute, source, study)] if on_gpu else []
    used.append(_words(cpu, cpu_source, study))
    is_unknown = study.device != "cpu" and not on_gpu
    if is_unknown:
        used.append(f"for a GPU: {source}; until then every job is priced as if done on the CPU")
    left = left or remaining(study)
    pricer = Pricer(study, compute if on_gpu and compute else cpu, cpu)
    prices = price.rule_prices(pricer, left, on_gpu)
    blocks, (before, after) = price.chains(pricer, left), price.ends(prices)
    gpus = (num_gpus or 1) if on_gpu else 0
    cpus = num_cpus or max(1, (os.cpu_count() or 1) // study.threads)
    gpu_seconds = sum(rule.seconds for rule in prices if rule.on_gpu)
    seeds, minutes = price.seeds_per_job(pricer)
    return Plan(
        study=study.study,
        rules=prices,
        num_gpus=gpus,
        num_cpus=cpus,
        wall_seconds=price.wall_seconds(blocks, gpus, cpus, before, after),
        chain_seconds=price.longest_chain(blocks, before, after),
        gpu_hours=None if is_unknown else gpu_seconds / 3600,
        cpu_hours=sum(rule.seconds for rule in prices) * study.threads / 3600,
        seeds_per_job=seeds,
        minutes_per_job=minutes,
        reasons={verb: left.reasons(verb) for verb in left.blocks},
        calibrations=used,
    )


def as_json(found: Plan) -> dict[str, Any]:
    """Return the plan as a mapping of plain numbers."""
    return asdict(found)


def text(found: Plan, seeds_per_job: int) -> str:
    """Return the plan as a table.

    Parameters
    ----------
    found
        The plan.
    seeds_per_job
        What the study says now.
    """
    rows = [("rule", "jobs", "time of all", "longest job", "peak memory", "results")]
    rows += [
        (
            rule.rule + (" (GPU)" if rule.on_gpu else ""),
            f"{rule.num_jobs:,}",
            duration(rule.seconds),
            duration(rule.longest),
            size(rule.peak_bytes),
            size(rule.result_bytes),
        )
        for rule in found.rules
    ]
    total = sum(rule.num_jobs for rule in found.rules)
    if not total:
        return f"Study {found.study}: everything is done; a run would do nothing."
    results = sum(rule.result_bytes for rule in found.rules)
    rows.append(
        (
            "all",
            f"{total:,}",
            duration(sum(rule.seconds for rule in found.rules)),
            "",
            size(max(rule.peak_bytes for rule in found.rules)),
            size(results),
        )
    )
    workers = f"{found.num_gpus} GPUs and " if found.num_gpus else ""
    gpu_hours = "unknown" if found.gpu_hours is None else f"{found.gpu_hours:.2f}"
    lines = [
        f"Study {found.study}: what is left to do",
        "",
        *_aligned(rows),
        "",
        f"GPU-hours {gpu_hours}, CPU-hours {found.cpu_hours:.2f}; about "
        f"{duration(found.wall_seconds)} on {workers}{found.num_cpus} CPU workers; the longest "
        f"chain of jobs takes {duration(found.chain_seconds)}",
        *(f"priced by {line}" for line in found.calibrations),
        *_why(found),
    ]
    if found.seeds_per_job != seeds_per_job:
        lines.append(
            f"seeds_per_job: {found.seeds_per_job} (now {seeds_per_job}) would make jobs of up to "
            f"{duration(60 * found.minutes_per_job)}; results are filed under it, so set it before "
            "the first job runs"
        )
    return "\n".join(lines)


def _why(found: Plan) -> list[str]:
    again = [
        f"  {verb}: {number:,} jobs: {reason}"
        for verb, reasons in found.reasons.items()
        for reason, number in reasons.items()
        if reason != "missing"
    ]
    return ["done again because", *again] if again else []


def _words(found: Calibration | None, source: str, study: Study) -> str:
    if found is None:
        return f"no calibration: {source}"
    worst = max(found.misfit.values())
    threads = f"{found.threads} threads" if found.threads != 1 else "1 thread"
    other = "" if found.threads == study.threads else f", while the study asks for {study.threads}"
    return (
        f"{found.device}, {threads}{other}, {max(0.0, found.age_days):.0f} days old, within a "
        f"factor {worst:.2f} of what it measured ({source})"
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if not index else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    Examples
    --------
    >>> [duration(s) for s in (0, 8.04, 95, 5400, 300000)]
    ['0 s', '8 s', '1.6 min', '1.5 h', '3.5 d']
    """
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.{0 if unit == 1 else 1}f} {name}"
    return f"{seconds / 86400:.1f} d"


def size(num_bytes: float) -> str:
    """Return a number of bytes in the unit that suits it.

    Examples
    --------
    >>> [size(n) for n in (0, 1500, 2.34e9)]
    ['0 B', '1.5 kB', '2.3 GB']
    """
    power = 0
    while num_bytes >= 1000 and power < len(BYTES) - 1:
        num_bytes /= 1000
        power += 1
    return f"{num_bytes:.{1 if power else 0}f} {BYTES[power]}"
