"""Mechanisms that hide cells: completely at random, at random, not at random (Rubin 1976).

They hide values alone, never covariates or the ends of sequences. To add one: a subclass of
``Mechanism`` (``base.py``) in a file of its own, and a line in ``MECHANISMS``.
"""

from emlib.datasets.mechanisms.ampute import Ampute
from emlib.datasets.mechanisms.base import Layout, Mechanism
from emlib.datasets.mechanisms.bursts import Bursts
from emlib.datasets.mechanisms.dropout import Monotone
from emlib.datasets.mechanisms.dropped import (
    DroppedBaselines,
    DroppedScans,
    DroppedStations,
    DroppedVisibilities,
)
from emlib.datasets.mechanisms.logistic import AtRandom, NotAtRandom
from emlib.datasets.mechanisms.maskfile import MaskFile
from emlib.datasets.mechanisms.plain import CompletelyAtRandom, Nothing, WholeRows
from emlib.datasets.mechanisms.quantile import QuantileCensoring

MECHANISMS: dict[str, type[Mechanism]] = {
    "none": Nothing,
    "mcar": CompletelyAtRandom,
    "steps": WholeRows,
    "blocks": Bursts,
    "mar": AtRandom,
    "mnar": NotAtRandom,
    "quantile": QuantileCensoring,
    "monotone": Monotone,
    "ampute": Ampute,
    "file": MaskFile,
    "dropped_visibilities": DroppedVisibilities,
    "dropped_baselines": DroppedBaselines,
    "dropped_stations": DroppedStations,
    "dropped_scans": DroppedScans,
}

__all__ = ["MECHANISMS", "AtRandom", "Layout", "Mechanism", "NotAtRandom"]
