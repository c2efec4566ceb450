"""The views that models read: what is observed, with which weight, grouped for speed."""

from emlib.data.table import Table

__all__ = ["Table"]
