"""Side-by-side timings against the estimators that users would otherwise take.

One thread each: the pins below come before anything that starts threads.
"""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"
