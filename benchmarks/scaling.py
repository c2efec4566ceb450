"""What an EM iteration of a Gaussian mixture costs as data grow, and beside the processor's peak.

``python -m benchmarks scaling`` prints the table and writes ``benchmarks/scaling.json`` and
``benchmarks/scaling.svg``.  Peak: the rate of a product of 768 x 768 matrices, measured in turns
with the iterations.  Work: multiplications and additions of the triangular whitening and of the
symmetric sums, 2 m (m + 1) for a row with m observed cells and a component; exponentials,
logarithms and the M-step come on top.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from benchmarks.side_by_side import holed
from emlib.data import Table
from emlib.models.gaussian_mixture import GaussianMixtureModel
from emlib.parallel import threads

REPEATS = 7
PEAK_SIZE = 768
RATES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Case:
    """One point of one line; ``axis`` is what grows along the line."""

    axis: str
    n: int = 20_000
    d: int = 10
    k: int = 5
    rate: float = 0.0
    n_threads: int = 1


@dataclass(frozen=True)
class Point:
    """Medians over the repeats: an iteration, and its share of the peak."""

    axis: str
    n: int
    d: int
    k: int
    rate: float
    n_threads: int
    patterns: int
    milliseconds: float
    gigaflops: float
    peak_share: float


def cases() -> Iterator[Case]:
    """Every axis with the others held; threads on large tables."""
    for n in (500, 2_000, 8_000, 32_000, 128_000, 512_000):
        yield Case("n", n=n)
    for d in (2, 4, 8, 16, 32, 64):
        yield Case("d", d=d)
    for k in (2, 4, 8, 16, 32):
        yield Case("k", k=k)
    for rate in RATES:
        yield Case("rate", rate=rate)
    for n in (100_000, 1_000_000):
        for n_threads in (1, 2):
            yield Case("n_threads", n=n, k=10, n_threads=n_threads)


def measured(case: Case) -> Point:
    """Time iterations and matrix products in turns."""
    rng = np.random.default_rng(case.n)
    means = rng.normal(scale=2.0, size=(case.k, case.d))
    labels = rng.integers(case.k, size=case.n)
    x = means[labels] + rng.normal(size=(case.n, case.d))
    data = Table.from_array(holed(x, case.rate) if case.rate else x)
    model = GaussianMixtureModel(case.k).prepare(data)
    few = data.part(np.arange(min(case.n, 500)))
    params = model.start(few, rng.dirichlet(np.ones(case.k), size=few.n))
    square = rng.normal(size=(PEAK_SIZE, PEAK_SIZE))
    with threads(case.n_threads):
        model.m_step(model.e_step(params, data), params)
        iterations, products = [], []
        for _ in range(REPEATS):
            iterations.append(_seconds(lambda: model.m_step(model.e_step(params, data), params)))
            products.append(_seconds(lambda: square @ square))
    seconds = statistics.median(iterations)
    peak = 2.0 * PEAK_SIZE**3 / min(products)
    observed = data.observed_counts[data.pattern_of_row].astype(float)
    flops = case.k * float((2.0 * observed * (observed + 1.0)).sum())
    return Point(
        **asdict(case), patterns=len(data.patterns), milliseconds=1e3 * seconds,
        gigaflops=1e-9 * flops / seconds, peak_share=flops / seconds / peak,
    )  # fmt: skip


def main() -> None:
    """Measure all, print a table, write numbers and figure."""
    points = []
    print("| grows | n | d | K | missing | patterns | threads | ms | GFlop/s | of peak |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in cases():
        p = measured(case)
        points.append(p)
        print(
            f"| {p.axis} | {p.n:,} | {p.d} | {p.k} | {p.rate:.0%} | {p.patterns:,} "
            f"| {p.n_threads} | {p.milliseconds:.3g} | {p.gigaflops:.2g} | {p.peak_share:.0%} |",
            flush=True,
        )
    here = Path("benchmarks")
    here.joinpath("scaling.json").write_text(
        json.dumps([asdict(p) for p in points], indent=1) + "\n"
    )
    table = pd.DataFrame([asdict(p) for p in points])
    for axis in ("n", "d", "k"):
        print(f"slope in {axis}: {slope(table[table.axis == axis], axis):.2f}")
    here.joinpath("scaling.svg").write_text(vl_convert.vegalite_to_svg(figure(table).to_dict()))


def slope(line: pd.DataFrame, axis: str) -> float:
    """Slope of log cost in the log of what grows, over the upper half of the line."""
    upper = line.iloc[len(line) // 2 - 1 :]
    return float(np.polyfit(np.log(upper[axis]), np.log(upper["milliseconds"]), 1)[0])


def figure(table: pd.DataFrame) -> alt.VConcatChart:
    """Cost on logarithmic scales, with the share of the peak below."""
    titles = {"n": "rows n", "d": "columns d", "k": "components K", "rate": "missing share"}
    costs, shares = [], []
    for axis, title in titles.items():
        line = table[table.axis == axis]
        if axis != "rate":
            title = f"{title} (slope {slope(line, axis):.2f})"
        marks = alt.Chart(line).mark_line(point=True, color="#0072b2")
        x = alt.X(f"{axis}:Q", title=title, scale=alt.Scale(type="log", nice=False))
        cost = alt.Y("milliseconds:Q", title="ms an iteration", scale=alt.Scale(type="log"))
        share = alt.Y(
            "peak_share:Q", title="share of peak", scale=alt.Scale(domain=[0, 1]),
            axis=alt.Axis(format="%"),
        )  # fmt: skip
        costs.append(marks.encode(x, cost).properties(width=190, height=150))
        shares.append(marks.encode(x, share).properties(width=190, height=150))
    return alt.vconcat(alt.hconcat(*costs), alt.hconcat(*shares))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
