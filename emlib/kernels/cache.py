"""Where compiled kernels are kept, so that a second process starts without compiling.

numba does not notice changes in functions that a cached one calls, so the folder's name holds a
digest of all kernels, numba's version and the processor; a change of any gets a fresh folder.
"""

from __future__ import annotations

import hashlib
import os
import sys
from importlib.metadata import version
from pathlib import Path


def cache_base() -> Path:
    """``EMLIB_CACHE_DIR``, or ``emlib`` in the user's cache folder."""
    if os.environ.get("EMLIB_CACHE_DIR"):
        return Path(os.environ["EMLIB_CACHE_DIR"]).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "emlib"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emlib"


def kernel_fingerprint() -> str:
    """Digest of the files of every kernel: of their bytes, since to parse them takes 0.2 s."""
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def configure_cache() -> Path:
    """Point numba's cache at this version of the kernels; call it before anything is compiled.

    Returns
    -------
    Path
        ``<cache>/<kernel fingerprint>-<numba version>-<processor>``, exported as NUMBA_CACHE_DIR.
    """
    from llvmlite.binding import get_host_cpu_name  # type: ignore[import-untyped]

    name = f"{kernel_fingerprint()[:16]}-{version('numba')}-{get_host_cpu_name() or 'unknown'}"
    folder = cache_base() / name
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    return folder
