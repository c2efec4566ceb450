"""Logarithms of eight numbers at a time."""

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit
from numba.extending import intrinsic

from emlib.kernels.lanes import (
    INTEGERS,
    LANES,
    LANES_TYPE,
    LN2_HIGH,
    LN2_LOW,
    SHIFT,
    VECTOR,
    add,
    add_product,
    divide,
    multiply,
    spread,
    subtract,
)

_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_SHIFT_BITS = 0x4338000000000000


@intrinsic
def _exponent(typing, x):
    """``SHIFT`` + k, where x = 2^k m with sqrt(1/2) <= m < sqrt(2)."""

    def generate(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], INTEGERS)
        above = builder.sub(bits, ir.Constant(INTEGERS, [_SQRT_HALF_BITS] * LANES))
        k = builder.ashr(above, ir.Constant(INTEGERS, [52] * LANES))
        shift = ir.Constant(INTEGERS, [_SHIFT_BITS] * LANES)
        return builder.bitcast(builder.add(k, shift), VECTOR)

    return LANES_TYPE(LANES_TYPE), generate


@intrinsic
def _lowered(typing, x, shifted):
    """x 2^-k for ``SHIFT`` + k."""

    def generate(context, builder, signature, arguments):
        x, shifted = (builder.bitcast(argument, INTEGERS) for argument in arguments)
        places = ir.Constant(INTEGERS, [52] * LANES)
        return builder.bitcast(builder.sub(x, builder.shl(shifted, places)), VECTOR)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate


@njit(inline="always")
def log(x):
    """log of positive normal numbers to an ulp or two.

    x = 2^k (1 + f), and with s = f / (2 + f) the series of log((1 + s) / (1 - s)), its
    coefficients fitted as in FDLIBM (Sun Microsystems 1993), e_log.c.
    """
    shifted = _exponent(x)
    k = subtract(shifted, spread(SHIFT))
    f = subtract(_lowered(x, shifted), spread(1.0))
    s = divide(f, add(f, spread(2.0)))
    z = multiply(s, s)
    series = spread(1.479819860511658591e-01)
    series = add_product(series, z, spread(1.531383769920937332e-01))
    series = add_product(series, z, spread(1.818357216161805012e-01))
    series = add_product(series, z, spread(2.222219843214978396e-01))
    series = add_product(series, z, spread(2.857142874366239149e-01))
    series = add_product(series, z, spread(3.999999999940941908e-01))
    series = add_product(series, z, spread(6.666666666666735130e-01))
    half = multiply(multiply(f, f), spread(0.5))
    rest = multiply(s, add_product(series, z, half))
    rest = add_product(k, spread(LN2_LOW), rest)
    return add_product(k, spread(LN2_HIGH), subtract(f, subtract(half, rest)))
