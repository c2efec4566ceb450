"""``python -m benchmarks [family ...]`` prints one table; every module here is one family.

``scaling``, the cost of an iteration as data grow, is a table and a figure of its own; ``imaging``
and ``starwarps`` are commands of their own.
"""

import importlib
import json
import pkgutil
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import benchmarks
from benchmarks import scaling
from benchmarks.side_by_side import measured

NOT_FAMILIES = {
    "__main__", "side_by_side", "scaling", "study", "imaging", "starwarps", "starwarps_peer",
}  # fmt: skip


def main() -> None:
    """Measure the families named on the command line, all by default."""
    warnings.simplefilter("ignore")
    modules = [m.name for m in pkgutil.iter_modules(benchmarks.__path__)]
    if sys.argv[1:] == ["scaling"]:
        scaling.main()
        return
    families = sys.argv[1:] or [name for name in modules if name not in NOT_FAMILIES]
    timings = []
    print("| work | peer | emlib s | peer s | times faster | loglik emlib - peer |")
    print("| --- | --- | --- | --- | --- | --- |")
    for family in families:
        try:
            module = importlib.import_module(f"benchmarks.{family}")
        except ImportError as error:
            print(f"| {family} | not installed: {error.name} | | | | |", flush=True)
            continue
        for comparison in module.comparisons():
            timing = measured(comparison)
            timings.append({**asdict(timing), "ratio": timing.ratio})
            print(
                f"| {timing.work} | {timing.peer} | {timing.ours_seconds:.3g} "
                f"| {timing.theirs_seconds:.3g} | {timing.ratio:.2g} "
                f"| {timing.ours_loglik - timing.theirs_loglik:.2g} |",
                flush=True,
            )
    if not sys.argv[1:]:
        scaling.main()
    Path("benchmarks/timings.json").write_text(json.dumps(timings, indent=1) + "\n")


if __name__ == "__main__":
    main()
