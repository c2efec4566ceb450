"""How sure an estimate is: certificate, observed information, bootstrap, proper imputation."""

from emlib.inference.bootstrap import bootstrap_errors, refits
from emlib.inference.certificate import Certificate, certify
from emlib.inference.impute import Imputer
from emlib.inference.information import Information, observed_information
from emlib.inference.ring import Ring, fit_ring
from emlib.inference.standard_errors import StandardErrors, information_errors

__all__ = [
    "Certificate",
    "Imputer",
    "Information",
    "Ring",
    "StandardErrors",
    "bootstrap_errors",
    "certify",
    "fit_ring",
    "information_errors",
    "observed_information",
    "refits",
]
