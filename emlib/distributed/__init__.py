"""Fits over partitions that the workers of a Dask cluster hold: the E-step goes to the rows.

Stats add over rows, so an E-step is a sum over partitions, and the climb is the one of
``emlib.algorithms``: it meets a model (``model.py``) that sums, and a view (``partitions.py``) that
knows where the rows are.
"""
