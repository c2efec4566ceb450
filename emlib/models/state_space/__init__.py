"""Linear Gaussian state-space models."""

from emlib.models.state_space.model import StateSpaceModel
from emlib.models.state_space.params import StateSpaceParams

__all__ = ["StateSpaceModel", "StateSpaceParams"]
