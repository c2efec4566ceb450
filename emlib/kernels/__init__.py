"""Compiled inner loops (numba); nothing above this folder knows how they are compiled."""

from emlib.kernels.cache import configure_cache

configure_cache()
