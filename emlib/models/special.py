"""SciPy's special functions, loaded with the first call: 0.2 s that most fits can spare."""

from collections.abc import Callable
from typing import Any


def _loaded_late(name: str) -> Callable[..., Any]:
    def function(*arguments: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*arguments)

    return function


digamma = _loaded_late("digamma")
erf = _loaded_late("erf")
erfcx = _loaded_late("erfcx")
expit = _loaded_late("expit")
gammaln = _loaded_late("gammaln")
log_ndtr = _loaded_late("log_ndtr")
logit = _loaded_late("logit")
ndtri_exp = _loaded_late("ndtri_exp")
polygamma = _loaded_late("polygamma")
xlog1py = _loaded_late("xlog1py")
xlogy = _loaded_late("xlogy")
