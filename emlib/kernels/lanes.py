"""Eight numbers that go through the processor together, for compiled kernels.

The compiler does not see by itself that loops over few states are such groups.  These are its own
vector types (LLVM's ``<8 x double>``), which it maps to whatever registers there are: the order of
all sums is the same everywhere.  Places are offsets into contiguous arrays, in numbers.
"""

from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANES = 8

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(64), LANES)
_INDEX = ir.IntType(32)


class _Lanes(types.Type):
    def __init__(self):
        super().__init__(name="Lanes")


LANES_TYPE = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _VECTOR)


def _pointer(context, builder, kind, array, place):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), _VECTOR.as_pointer())


def _shuffled(builder, vector, order):
    mask = ir.Constant(ir.VectorType(_INDEX, LANES), order)
    return builder.shuffle_vector(vector, ir.Constant(_VECTOR, ir.Undefined), mask)


def _called(builder, name, arguments):
    signature = ir.FunctionType(_VECTOR, [_VECTOR] * len(arguments))
    function = cgutils.get_or_insert_function(builder.module, signature, f"llvm.{name}.v8f64")
    return builder.call(function, arguments)


@intrinsic
def load(typing, array, place):
    """The eight numbers from ``place`` on."""

    def generate(context, builder, signature, arguments):
        return builder.load(_pointer(context, builder, signature.args[0], *arguments), align=8)

    return LANES_TYPE(array, types.intp), generate


@intrinsic
def store(typing, array, place, value):
    """Write eight numbers from ``place`` on."""

    def generate(context, builder, signature, arguments):
        place = _pointer(context, builder, signature.args[0], *arguments[:2])
        builder.store(arguments[2], place, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, LANES_TYPE), generate


@intrinsic
def spread(typing, number):
    """One number eight times."""

    def generate(context, builder, signature, arguments):
        empty = ir.Constant(_VECTOR, ir.Undefined)
        first = builder.insert_element(empty, arguments[0], ir.Constant(_INDEX, 0))
        return _shuffled(builder, first, [0] * LANES)

    return LANES_TYPE(types.float64), generate


@intrinsic
def lane(typing, value, k):
    """Number k of the eight."""

    def generate(context, builder, signature, arguments):
        return builder.extract_element(arguments[0], builder.trunc(arguments[1], _INDEX))

    return types.float64(LANES_TYPE, types.int64), generate


def _elementwise(name):
    @intrinsic
    def operation(typing, a, b):
        def generate(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments)

        return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate

    return operation


add, subtract, multiply, divide = (_elementwise(name) for name in ("fadd", "fsub", "fmul", "fdiv"))


@intrinsic
def add_product(typing, a, b, c):
    """a b + c, rounded once."""

    def generate(context, builder, signature, arguments):
        return _called(builder, "fma", arguments)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE, LANES_TYPE), generate


@intrinsic
def larger(typing, a, b):
    """The larger numbers, lane by lane."""

    def generate(context, builder, signature, arguments):
        return _called(builder, "maxnum", arguments)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate


def _reduced(combine):
    """Fold halves, so that eight numbers take three steps; the order is always the same."""

    @intrinsic
    def reduction(typing, value):
        def generate(context, builder, signature, arguments):
            value = arguments[0]
            for distance in (4, 2, 1):
                order = [(k + distance) % LANES for k in range(LANES)]
                value = combine(builder, value, _shuffled(builder, value, order))
            return builder.extract_element(value, ir.Constant(_INDEX, 0))

        return types.float64(LANES_TYPE), generate

    return reduction


total = _reduced(lambda builder, a, b: builder.fadd(a, b))
largest = _reduced(lambda builder, a, b: _called(builder, "maxnum", [a, b]))


@intrinsic
def where_below(typing, value, bound, low, high):
    """``low`` where ``value`` is below ``bound``, else ``high``."""

    def generate(context, builder, signature, arguments):
        value, bound, low, high = arguments
        return builder.select(builder.fcmp_ordered("<", value, bound), low, high)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE, LANES_TYPE, LANES_TYPE), generate


@intrinsic
def _power_of_two(typing, shifted):
    """2 to the k of ``_SHIFT`` + k, whose last bits hold k."""

    def generate(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], _INTEGERS)
        bias = ir.Constant(_INTEGERS, [1023] * LANES)
        places = ir.Constant(_INTEGERS, [52] * LANES)
        return builder.bitcast(builder.shl(builder.add(bits, bias), places), _VECTOR)

    return LANES_TYPE(LANES_TYPE), generate


def _bits(change):
    """Numbers whose bits are those of others, changed."""

    @intrinsic
    def changed(typing, value):
        def generate(context, builder, signature, arguments):
            bits = change(builder, builder.bitcast(arguments[0], _INTEGERS))
            return builder.bitcast(bits, _VECTOR)

        return LANES_TYPE(LANES_TYPE), generate

    return changed


def _same(number):
    return ir.Constant(_INTEGERS, [number] * LANES)


_exponent = _bits(
    lambda builder, bits: builder.or_(builder.lshr(bits, _same(52)), _same(1075 << 52))
)
"""2 to the 52 plus the biased exponent of a positive number."""

_mantissa = _bits(
    lambda builder, bits: builder.or_(builder.and_(bits, _same((1 << 52) - 1)), _same(1023 << 52))
)
"""A positive number times the power of two that takes it to [1, 2)."""

_SHIFT = 1.5 * 2.0**52
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
LOWEST = -708.0
"""exp of anything below is given as exp of this, 3e-308: small, but not zero."""


@njit(inline="always")
def exp(x):
    """exp of numbers <= 0 to an ulp; 0 of -inf alone.

    x = k log 2 + r with |r| <= log(2) / 2, and the Taylor series of exp r to degree 12.
    """
    lowest = spread(LOWEST)
    inside = larger(x, lowest)
    shifted = add_product(inside, spread(_LOG2_E), spread(_SHIFT))
    k = subtract(shifted, spread(_SHIFT))
    r = add_product(k, spread(-_LN2_HIGH), inside)
    r = add_product(k, spread(-_LN2_LOW), r)
    series = spread(1.0 / 479001600.0)
    series = add_product(series, r, spread(1.0 / 39916800.0))
    series = add_product(series, r, spread(1.0 / 3628800.0))
    series = add_product(series, r, spread(1.0 / 362880.0))
    series = add_product(series, r, spread(1.0 / 40320.0))
    series = add_product(series, r, spread(1.0 / 5040.0))
    series = add_product(series, r, spread(1.0 / 720.0))
    series = add_product(series, r, spread(1.0 / 120.0))
    series = add_product(series, r, spread(1.0 / 24.0))
    series = add_product(series, r, spread(1.0 / 6.0))
    series = add_product(series, r, spread(0.5))
    series = add_product(series, r, spread(1.0))
    series = add_product(series, r, spread(1.0))
    value = multiply(series, _power_of_two(shifted))
    return where_below(x, spread(-1.7976931348623157e308), spread(0.0), value)


@njit(inline="always")
def log(x):
    """log of positive normal numbers to an ulp.

    x = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), and the series of log(1 + f) in
    s = f / (2 + f) as in FreeBSD's msun, e_log.c.
    """
    k = subtract(_exponent(x), spread(2.0**52 + 1023.0))
    m = _mantissa(x)
    k = where_below(m, spread(1.4142135623730951), k, add(k, spread(1.0)))
    m = where_below(m, spread(1.4142135623730951), m, multiply(m, spread(0.5)))
    f = subtract(m, spread(1.0))
    s = divide(f, add(f, spread(2.0)))
    z = multiply(s, s)
    series = spread(1.479819860511658591e-01)
    series = add_product(series, z, spread(1.531383769920937332e-01))
    series = add_product(series, z, spread(1.818357216161805012e-01))
    series = add_product(series, z, spread(2.222219843214978396e-01))
    series = add_product(series, z, spread(2.857142874366239149e-01))
    series = add_product(series, z, spread(3.999999999940941908e-01))
    series = add_product(series, z, spread(6.666666666666735130e-01))
    half = multiply(spread(0.5), multiply(f, f))
    inner = multiply(s, add_product(series, z, half))
    low = add_product(k, spread(_LN2_LOW), inner)
    return add_product(k, spread(_LN2_HIGH), subtract(f, subtract(half, low)))
