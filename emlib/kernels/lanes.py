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

VECTOR = ir.VectorType(ir.DoubleType(), LANES)
INTEGERS = ir.VectorType(ir.IntType(64), LANES)
_INDEX = ir.IntType(32)


class _Lanes(types.Type):
    def __init__(self):
        super().__init__(name="Lanes")


LANES_TYPE = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, VECTOR)


def _pointer(context, builder, kind, array, place):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), VECTOR.as_pointer())


def _shuffled(builder, vector, order):
    mask = ir.Constant(ir.VectorType(_INDEX, LANES), order)
    return builder.shuffle_vector(vector, ir.Constant(VECTOR, ir.Undefined), mask)


def _called(builder, name, arguments):
    signature = ir.FunctionType(VECTOR, [VECTOR] * len(arguments))
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
        empty = ir.Constant(VECTOR, ir.Undefined)
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


@njit(inline="always")
def negative(x):
    """-x, which costs nothing as a factor of ``add_product``."""
    return subtract(spread(-0.0), x)


@intrinsic
def square_root(typing, x):
    """Square roots, rounded correctly."""

    def generate(context, builder, signature, arguments):
        return _called(builder, "sqrt", arguments)

    return LANES_TYPE(LANES_TYPE), generate


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
def where_number(typing, x, value, otherwise):
    """``otherwise`` where ``x`` is NaN, else ``value``."""

    def generate(context, builder, signature, arguments):
        x, value, otherwise = arguments
        return builder.select(builder.fcmp_ordered("==", x, x), value, otherwise)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE, LANES_TYPE), generate


def _mixed(distance, half):
    """Groups of ``distance`` numbers of a and of b in turns: even groups (half 0), odd ones (1)."""
    order = []
    for first in range(half * distance, LANES, 2 * distance):
        order += [*range(first, first + distance)]
        order += [*range(LANES + first, LANES + first + distance)]

    @intrinsic
    def mixture(typing, a, b):
        def generate(context, builder, signature, arguments):
            mask = ir.Constant(ir.VectorType(_INDEX, LANES), order)
            return builder.shuffle_vector(*arguments, mask)

        return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate

    return mixture


_evens, _odds = _mixed(1, 0), _mixed(1, 1)
_even_pairs, _odd_pairs = _mixed(2, 0), _mixed(2, 1)
_lows, _highs = _mixed(4, 0), _mixed(4, 1)


@njit(inline="always")
def transpose(array, place, apart, out, out_place, out_apart):
    """Eight lines of eight numbers from ``place`` on, ``apart`` from each other, as columns."""
    a, b, c, d = (
        load(array, place), load(array, place + apart), load(array, place + 2 * apart),
        load(array, place + 3 * apart),
    )  # fmt: skip
    e, f, g, h = (
        load(array, place + 4 * apart), load(array, place + 5 * apart),
        load(array, place + 6 * apart), load(array, place + 7 * apart),
    )  # fmt: skip
    a, b, c, d = _evens(a, b), _odds(a, b), _evens(c, d), _odds(c, d)
    e, f, g, h = _evens(e, f), _odds(e, f), _evens(g, h), _odds(g, h)
    a, c, b, d = _even_pairs(a, c), _odd_pairs(a, c), _even_pairs(b, d), _odd_pairs(b, d)
    e, g, f, h = _even_pairs(e, g), _odd_pairs(e, g), _even_pairs(f, h), _odd_pairs(f, h)
    store(out, out_place, _lows(a, e))
    store(out, out_place + out_apart, _lows(b, f))
    store(out, out_place + 2 * out_apart, _lows(c, g))
    store(out, out_place + 3 * out_apart, _lows(d, h))
    store(out, out_place + 4 * out_apart, _highs(a, e))
    store(out, out_place + 5 * out_apart, _highs(b, f))
    store(out, out_place + 6 * out_apart, _highs(c, g))
    store(out, out_place + 7 * out_apart, _highs(d, h))


@intrinsic
def _power_of_two(typing, shifted):
    """2 to the k of ``SHIFT`` + k, whose last bits hold k."""

    def generate(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], INTEGERS)
        bias = ir.Constant(INTEGERS, [1023] * LANES)
        places = ir.Constant(INTEGERS, [52] * LANES)
        return builder.bitcast(builder.shl(builder.add(bits, bias), places), VECTOR)

    return LANES_TYPE(LANES_TYPE), generate


SHIFT = 1.5 * 2.0**52
_LOG2_E = 1.4426950408889634
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
LOWEST = -708.0
"""exp of anything below is given as exp of this, 3e-308: small, but not zero."""


@njit(inline="always")
def exp(x):
    """exp of numbers <= 0 to an ulp; 0 of -inf alone.

    x = k log 2 + r with |r| <= log(2) / 2, and the Taylor series of exp r to degree 12.
    """
    lowest = spread(LOWEST)
    inside = larger(x, lowest)
    shifted = add_product(inside, spread(_LOG2_E), spread(SHIFT))
    k = subtract(shifted, spread(SHIFT))
    r = add_product(k, spread(-LN2_HIGH), inside)
    r = add_product(k, spread(-LN2_LOW), r)
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
