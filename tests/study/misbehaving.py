"""Own inits that misbehave, each in its way, while a file named `armed` lies beside them."""

from pathlib import Path
from typing import Any

WAYS = ("eats", "exits", "kills", "loops", "nan", "raises")
"""Names of the inits, sorted."""

PLUGIN = """
import abc
import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np

from emlib.inits import INITS, Init

HERE = Path(__file__).parent


class Misbehaving(Init):
    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"classes"})

    def __call__(self, model, data, rng):
        start = INITS["random"]()(model, data, rng)
        if (HERE / "armed").exists():
            with (HERE / "calls").open("a") as calls:
                calls.write(f"{self.name} {Path(sys.argv[0]).stem}\\n")
            start = self.misbehave(start)
        return start

    @abc.abstractmethod
    def misbehave(self, start): ...


@dataclasses.dataclass(frozen=True)
class Raises(Misbehaving):
    name: ClassVar[str] = "raises"

    def misbehave(self, start):
        raise RuntimeError("no start today")


@dataclasses.dataclass(frozen=True)
class Nan(Misbehaving):
    name: ClassVar[str] = "nan"

    def misbehave(self, start):
        means = np.full_like(start.params.means, np.nan)
        return dataclasses.replace(start, params=dataclasses.replace(start.params, means=means))


@dataclasses.dataclass(frozen=True)
class Eats(Misbehaving):
    name: ClassVar[str] = "eats"

    def misbehave(self, start):
        eaten = []
        while True:  # memory that is never touched, so that only this process runs out of it
            eaten.append(np.empty(1 << 27))


@dataclasses.dataclass(frozen=True)
class Exits(Misbehaving):
    name: ClassVar[str] = "exits"

    def misbehave(self, start):
        sys.exit("enough")


@dataclasses.dataclass(frozen=True)
class Loops(Misbehaving):
    name: ClassVar[str] = "loops"

    def misbehave(self, start):
        while True:
            pass


@dataclasses.dataclass(frozen=True)
class Kills(Misbehaving):
    name: ClassVar[str] = "kills"

    def misbehave(self, start):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def write_plugin(folder: Path) -> Path:
    """Write the plugin's file; touch ``folder / "armed"`` for the inits to misbehave."""
    path = folder / "misbehaving.py"
    path.write_text(PLUGIN)
    return path


def init(way: str) -> dict[str, Any]:
    """One of them as a resolved study has it."""
    return {"init": way, "settings": {}, "oracle": False, "deterministic": False}
