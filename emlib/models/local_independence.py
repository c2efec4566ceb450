"""What mixtures share whose columns are discrete and independent given the class.

Lazarsfeld's local independence: a row's probability in class k is the product of its cells', so
that a missing cell drops out of the product, the E-step is Bayes' rule on the observed cells, and
the M-step is a weighted share or mean of them, column by column.
"""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.discrete import Coding, Discrete, Rows
from emlib.errors import require_count
from emlib.models.base import Model
from emlib.models.checks import refuse_empty, refuse_few
from emlib.models.collapse import refuse_empty_component
from emlib.models.posterior import EXACT, Posterior, draw_labels
from emlib.models.records import Degenerate, Diagnosis, Posteriors, Step
from emlib.models.simplex import log, vanishing
from emlib.parallel import add_chunks

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassSums:
    """Sums of responsibilities.

    Attributes
    ----------
    counts : ndarray of shape (K,)
    cells : ndarray of shape (..., K)
        Over the observed cells, as the family's M-step needs them.
    loglik, magnitude : float
        Observed-data loglik, and the sum of the rows' absolute logliks.
    """

    counts: Array
    cells: Array
    loglik: float = 0.0
    magnitude: float = 0.0

    def __add__(self, other: "ClassSums") -> "ClassSums":
        return ClassSums(
            self.counts + other.counts,
            self.cells + other.cells,
            self.loglik + other.loglik,
            self.magnitude + other.magnitude,
        )

    def scaled(self, factor: float) -> "ClassSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return ClassSums(
            factor * self.counts, factor * self.cells, factor * self.loglik,
            factor * self.magnitude,
        )  # fmt: skip


class LocalIndependence(Model):
    """A mixture of discrete columns that are independent given the class.

    A family says how its columns are told (``_pass``, ``_rows``), estimated (``_columns``),
    expected and drawn.  Its record has ``weights`` and one field more, named by ``columns``.
    """

    columns: ClassVar[str]
    search: ClassVar[tuple[str, ...]] = ("short_em", "points", "kmeans", "random")

    def __post_init__(self) -> None:
        require_count("n_components", self.n_components)

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> Discrete:
        return Discrete.from_array(values, weights)

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(frozenset({"weights", self.columns})),)

    def prepare(self, data: Discrete) -> "Model":
        """Check the cells; refuse fewer rows than components and columns of holes."""
        self.check_cells(data)
        refuse_few(data, self.n_components)
        refuse_empty(data)
        return self

    def e_step(self, params: Any, data: Discrete, posterior: Posterior = EXACT) -> ClassSums:
        rows = data.distinct if posterior.rng is None else data.rows
        stats = ClassSums(*self._pass(params, data, rows, posterior))
        if not np.isfinite(stats.loglik):
            raise Degenerate("a row has probability zero in every component")
        return stats

    def m_step(self, stats: ClassSums, params: Any, free: frozenset[str] | None = None) -> Any:
        counts = stats.counts
        refuse_empty_component(counts)
        moved: dict[str, Any] = {}
        if free is None or "weights" in free:
            moved["weights"] = counts / counts.sum()
        if free is None or self.columns in free:
            moved[self.columns] = self._columns(stats.cells, params)
        return replace(params, **moved)

    def start(self, data: Discrete, responsibilities: Array) -> Any:
        """Available-case shares or means, each class with one row's worth of all rows."""
        r = responsibilities * data.rows.weights[:, None]
        counts, cells = r.sum(axis=0), self._cells(data, r)
        total = counts.sum()
        pooled = cells.sum(axis=-1, keepdims=True) / total
        weights = (counts + 1.0 / self.n_components) / (total + 1.0)
        return self._record(weights, self._columns(cells + pooled, None))

    def posterior(self, params: Any, data: Discrete) -> Posteriors:
        """Rows that have probability zero in every class are assigned as if they were empty."""
        self.check_cells(data)
        loglik, responsibilities = self._rows(params, data)
        impossible = ~(loglik > -np.inf)
        loglik[impossible] = -np.inf
        responsibilities[impossible] = params.weights
        completed = data.values.copy()
        holes = np.flatnonzero(~data.observed.all(axis=1))
        if len(holes):
            expected = self._expected(params, responsibilities[holes])
            completed[holes] = np.where(data.observed[holes], completed[holes], expected)
        return Posteriors(loglik, responsibilities, completed)

    def complete(self, params: Any, data: Discrete, rng: np.random.Generator) -> Array:
        """Draw classes from their posterior, then the missing cells from their class."""
        responsibilities = self.posterior(params, data).responsibilities
        labels = draw_labels(responsibilities, params.weights, rng)
        return np.where(data.observed, data.values, self._drawn(params, labels, rng))

    def sample(self, params: Any, n: int, rng: np.random.Generator) -> tuple[Array, Ints]:
        """Draw n rows; returns them (n, d) and their classes (n,)."""
        labels = rng.choice(self.n_components, size=n, p=params.weights)
        return self._drawn(params, labels, rng), labels

    def diagnose(self, params: Any, stats: ClassSums) -> Diagnosis:
        """``boundary``: a probability or rate is zero, or on its way there."""
        old = self._against_zero(stats.cells, params)[2]
        flags = ("boundary",) if (self._vanishing(params, stats) | (old == 0)).any() else ()
        return Diagnosis(flags, smallest_component=float(stats.counts.min()))

    def _vanishing(self, params: Any, stats: ClassSums) -> Any:
        """Where a probability or rate is on its way to zero, in the shape of its sums."""
        return vanishing(*self._against_zero(stats.cells, params))

    @abstractmethod
    def _record(self, weights: Array, columns: Any) -> Any:
        """The family's record of parameters."""

    @abstractmethod
    def _pass(
        self, params: Any, data: Discrete, rows: Rows, posterior: Posterior
    ) -> tuple[Array, Array, float, float]:
        """Counts (K,), cells (..., K), loglik and magnitude."""

    @abstractmethod
    def _rows(self, params: Any, data: Discrete) -> tuple[Array, Array]:
        """Loglik (n,) and responsibilities (n, K); NaN where a row is impossible."""

    @abstractmethod
    def _cells(self, data: Discrete, responsibilities: Array) -> Array:
        """The cells' sums (..., K) for given responsibilities (n, K), weights included."""

    @abstractmethod
    def _columns(self, cells: Array, params: Any) -> Any:
        """Maximize Q over the columns' parameters; as in ``params`` where no cell was seen."""

    @abstractmethod
    def _expected(self, params: Any, responsibilities: Array) -> Array:
        """What a missing cell is completed by, shape (n, d)."""

    @abstractmethod
    def _drawn(self, params: Any, labels: Ints, rng: np.random.Generator) -> Array:
        """Whole rows drawn from the classes ``labels`` (n,), shape (n, d)."""

    @abstractmethod
    def _against_zero(self, cells: Array, params: Any) -> tuple[Array, Array, Array]:
        """Expected counts behind each parameter, their exposure, and the parameter itself."""


class LevelIndependence(LocalIndependence):
    """A mixture whose columns have levels, each with a probability in each class.

    The levels of all columns, one column's after the other, are the lines of its tables; its
    ``ClassSums.cells`` are sums by level, shape (T, K).
    """

    def settled(self, params: Any, stats: ClassSums) -> Any:
        """Probabilities on their way to zero at zero."""
        cells = np.where(self._vanishing(params, stats), 0.0, stats.cells)
        return replace(params, **{self.columns: self._columns(cells, params)})

    @abstractmethod
    def _coding(self, data: Discrete) -> Coding:
        """Codes of the levels of each column."""

    @abstractmethod
    def _table(self, params: Any) -> Array:
        """Probability of each level by class, shape (T, K)."""

    def check_cells(self, data: Discrete) -> None:
        data.lines(self._coding(data))

    def _log_table(self, params: Any, data: Discrete) -> Array:
        table = log(self._table(params))
        padded = np.vstack([table, np.zeros(self.n_components)])
        return padded[data.lines(self._coding(data))]

    def _pass(self, params: Any, data: Discrete, rows: Rows, posterior: Posterior) -> Any:
        from emlib.kernels.discrete import level_pass

        (codes, members), weights, log_weights = rows.bundles, rows.weights, log(params.weights)
        table, noise = self._log_table(params, data), posterior.uniforms(len(rows.codes))
        counts, sums, *rest = add_chunks(
            lambda part: level_pass(
                codes[part], members, weights[part], log_weights, table, posterior.beta, noise[part]
            ),
            rows.chunks,
        )
        return counts, self._placed(sums, data), *rest

    def _placed(self, sums: Array, data: Discrete) -> Array:
        coding = self._coding(data)
        cells = np.zeros((sum(map(len, coding)) + 1, self.n_components))
        cells[data.lines(coding)] = sums
        return cells[:-1]

    def _rows(self, params: Any, data: Discrete) -> Any:
        from emlib.kernels.discrete import level_posteriors

        weights, table = log(params.weights), self._log_table(params, data)
        return level_posteriors(data.rows.codes, weights, table)

    def _cells(self, data: Discrete, responsibilities: Array) -> Array:
        from emlib.kernels.discrete import level_sums

        n_lines = sum(map(len, data.levels)) + 1
        return self._placed(level_sums(data.rows.codes, responsibilities, n_lines), data)

    def _against_zero(self, cells: Array, params: Any) -> tuple[Array, Array, Array]:
        return cells, self._seen(cells), self._table(params)

    @abstractmethod
    def _seen(self, cells: Array) -> Array:
        """Sum of the cells over the levels of their column, shape (T, K)."""
