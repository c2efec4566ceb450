"""How sure an estimate is: observed information, bootstrap, and proper imputation."""

from emlib.inference.bootstrap import bootstrap_errors, refits
from emlib.inference.impute import Imputer
from emlib.inference.information import Information, observed_information
from emlib.inference.standard_errors import StandardErrors, information_errors

__all__ = [
    "Imputer",
    "Information",
    "StandardErrors",
    "bootstrap_errors",
    "information_errors",
    "observed_information",
    "refits",
]
