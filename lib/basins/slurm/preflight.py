"""Before anything is submitted: whether this cluster can run what the study asks for."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from basins.slurm.accounts import check_account, check_qos
from basins.slurm.commands import ClusterError
from basins.slurm.offers import Offer, gpus, limited, offers

# What to change when no partition has enough of something.
ADVICE = {
    "minutes": "lower `seeds_per_job`, `directions` or `epochs` in the study, or name a partition "
    "with a longer limit",
    "GPUs": "name a partition with such GPUs (max_gpu, available_gpu_models), ask for another "
    "type, or set `device: cpu` in the study",
    "MB of memory": "lower `seeds_per_job` in the study, or name a partition with larger nodes",
    "CPUs": "lower `threads` in the study, or name a partition with larger nodes",
}


@dataclass(frozen=True)
class Request:
    """What the jobs of one rule ask of the cluster."""

    rule: str
    minutes: float
    mem_mb: float
    cpus: int
    num_gpus: int = 0
    gpu_type: str = ""
    partition: str = ""
    account: str = ""
    qos: str = ""

    @classmethod
    def of(cls, rule: str, threads: int, resources: dict[str, object]) -> "Request":
        """Return the request that Snakemake's resources of a job make."""

        def number(name: str) -> int:
            value = resources.get(name, 0)
            return int(value) if isinstance(value, int | float | str) else 0

        wanted = {str(resources.get("gpu_model", "")): number("gpu")}
        if "gpu" in str(resources.get("gres", "")):
            wanted = gpus(str(resources["gres"]))
        ((kind, count),) = wanted.items()
        return cls(
            rule=rule,
            minutes=number("runtime"),
            mem_mb=number("mem_mb"),
            cpus=number("cpus_per_task") or threads,
            num_gpus=count,
            gpu_type=kind if count else "",
            partition=str(resources.get("slurm_partition", "")),
            account=str(resources.get("slurm_account", "")),
            qos=str(resources.get("qos", "")),
        )


def check(requests: Iterable[Request], partition_file: Path | None) -> None:
    """Compare what rules ask for with what the cluster offers.

    Raises
    ------
    ClusterError
        In one sentence that says what to change: no SLURM, an unknown partition, an account or QOS
        that is missing or unknown, or a request that no partition can meet.
    """
    found = offers()
    allowed = limited(found, partition_file)
    requests = sorted(set(requests), key=lambda request: (request.rule, request.minutes))
    for request in requests:
        _check_partition(request, found, allowed, partition_file)
    for account in sorted({request.account for request in requests}):
        check_account(account)
    for qos in sorted({request.qos for request in requests}):
        check_qos(qos)


def check_arrays(arrays: str | None, is_limited: bool) -> None:
    """Refuse job arrays together with a limit on jobs, with which the executor waits for ever.

    It sends an array once every ready job of a rule was selected; under a limit that never happens.

    Raises
    ------
    ClusterError
        If both were asked for.
    """
    if arrays and is_limited:
        raise ClusterError(
            "--slurm-array-jobs waits for ever where the number of jobs is limited; add `--jobs "
            "unlimited --max-jobs-per-timespan 1000000/1s` and no --resources, or leave it out"
        )


def _check_partition(
    request: Request, found: list[Offer], allowed: list[Offer], path: Path | None
) -> None:
    names = sorted({offer.partition for offer in found})
    if request.partition:
        if request.partition not in names:
            raise ClusterError(
                f"rule {request.rule}: slurm_partition {request.partition!r} is not on this "
                f"cluster, which has {', '.join(names)}"
            )
        candidates = [offer for offer in found if offer.partition == request.partition]
    elif path is None:
        candidates = [offer for offer in found if offer.is_default]
    else:
        candidates = allowed
    lacks = [(offer.partition, _lack(request, offer)) for offer in candidates]
    if lacks and all(lack for _, lack in lacks):
        # Partitions without the GPUs are not worth a word where others have them.
        lacks = [pair for pair in lacks if pair[1] and pair[1][1] != "GPUs"] or lacks
        source = f" of {path}" if path and not request.partition else ""
        reasons = dict.fromkeys(f"{name} {lack[0]}" for name, lack in lacks if lack)
        advice = dict.fromkeys(ADVICE[lack[1]] for _, lack in lacks if lack and lack[1] in ADVICE)
        raise ClusterError(
            f"rule {request.rule} asks for {_words(request)}, which no partition{source} can give "
            f"({'; '.join(reasons)}); {', or '.join(advice) or 'name another partition'}"
        )


def _lack(request: Request, offer: Offer) -> tuple[str, str] | None:
    """Return what an offer has too little of, in words and as a key of ADVICE."""
    if not offer.is_up:
        return "is down", ""
    if request.num_gpus:
        count = offer.gpus.get(request.gpu_type, 0) if request.gpu_type else offer.num_gpus
        if count < request.num_gpus:
            there = ", ".join(f"{n} of type {k or 'any'}" for k, n in offer.gpus.items())
            return f"has {there or 'no GPUs'}", "GPUs"
    for name, asked, most in (
        ("minutes", request.minutes, offer.minutes),
        ("MB of memory", request.mem_mb, offer.mem_mb),
        ("CPUs", request.cpus, offer.cpus),
    ):
        if asked > most:
            return f"allows {most:.0f} {name}", name
    return None


def _words(request: Request) -> str:
    parts = [f"{request.minutes:.0f} minutes", f"{request.mem_mb:.0f} MB", f"{request.cpus} CPUs"]
    if request.num_gpus:
        kind = f" of type {request.gpu_type}" if request.gpu_type else ""
        parts.append(f"{request.num_gpus} GPUs{kind}")
    return ", ".join(parts)
