"""Arrays that a thread writes over again and again.

A fresh array of many pages costs more than a pass of a compiled loop over it, since the system
hands out each page empty when it is first touched.
"""

import threading
from typing import Any

import numpy as np

_kept = threading.local()


def scratch(name: str, shape: tuple[int, ...]) -> Any:
    """An uninitialized array that is this thread's until it asks for ``name`` again.

    The memory of the last shape asked for is kept.
    """
    array = getattr(_kept, name, None)
    if array is None or array.shape != shape:
        array = np.empty(shape)
        setattr(_kept, name, array)
    return array
