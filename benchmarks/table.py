"""Timing, the record of the environment, and the printed table: shared by all benchmarks."""

import argparse
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch


def options(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of both sides")
    parser.add_argument("--json", type=Path, help="also write the record to this file")
    return parser


def seconds(action: Callable[[], object]) -> float:
    """Return the wall time of one call of `action`, in seconds, a GPU's work included."""
    start = time.perf_counter()
    action()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def least_seconds(action: Callable[[], object], at_most: float = 5.0) -> float:
    """Return the least wall time of up to ten calls, as many as take `at_most` seconds together.

    What lasts milliseconds is lengthened by half when a core is taken away for a moment.
    """
    times = [seconds(action)]
    while len(times) < 10 and sum(times) + times[0] < at_most:
        times.append(seconds(action))
    return min(times)


def product_rate(dtype: torch.dtype, size: int = 2048, device: str = "cpu") -> float:
    """Return multiply-adds a second of a large matrix product, in torch's threads or on a GPU."""
    matrix = torch.randn(size, size, dtype=dtype, device=device)
    return size**3 / min(seconds(lambda: matrix @ matrix) for _ in range(5))


def environment(threads: int) -> dict[str, str | int]:
    """Return what a timing depends on: versions and device, never the host's name."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": version("numba"),
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": threads,
    }


def report(
    title: str, rows: list[dict[str, object]], threads: int, path: Path | None = None
) -> None:
    """Print `rows` as a Markdown table under `title`, and store the record at `path` if given."""
    record = {"title": title, "environment": environment(threads), "rows": rows}
    print(markdown(record))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=2) + "\n")


def markdown(record: dict) -> str:
    """Return a record as a heading, its environment and a table."""
    rows = record["rows"]
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    for row in rows:
        cells = [f"{x:.4g}" if isinstance(x, float) else str(x) for x in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    where = ", ".join(f"{name} {value}" for name, value in record["environment"].items())
    return "\n".join([f"## {record['title']}", "", where, "", *lines, ""])


def page() -> str:
    """Return docs/benchmarks.md from the stored records."""
    records = sorted((Path(__file__).parent / "records").glob("*.json"))
    parts = [
        "# Benchmarks\n\nRatios are measured in one run on one machine; `make bench` runs them "
        "anywhere. This page is\ngenerated from `benchmarks/records/` by `make generate`.\n"
    ]
    return "\n".join(parts + [markdown(json.loads(path.read_text())) for path in records])


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "benchmarks.md").write_text(page())
