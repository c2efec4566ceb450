"""``python -m benchmarks.study.measured COMMAND``: run it, and print as JSON what that cost."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time


def main() -> None:
    """Standard output of the command goes to standard error."""
    began = time.monotonic()
    done = subprocess.run(sys.argv[1:], stdout=sys.stderr, check=False)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cost = {
        "cpu": spent.ru_utime + spent.ru_stime,
        "wall": time.monotonic() - began,
        "megabytes": spent.ru_maxrss / 1024,
    }
    print(json.dumps(cost))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
