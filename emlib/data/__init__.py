"""The views that models read: rows with holes, and sequences of them."""

from emlib.data.sequences import Sequences
from emlib.data.table import Table

__all__ = ["Sequences", "Table"]
