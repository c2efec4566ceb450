"""The structures: what each holds equal, its M-step against slow twins, its chart, its group."""

import numpy as np
import pytest
from scipy.optimize import minimize

from emlib import GaussianMixture
from emlib.algorithms import Stopping, climb
from emlib.algorithms.climb import ROUNDING
from emlib.data import Table
from emlib.errors import InvalidData
from emlib.models import Degenerate
from emlib.models.collapse import check_collapse
from emlib.models.covariance import COVARIANCES
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams
from tests.conftest import mixture_rows, random_params

CODES = ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE",
         "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]  # fmt: skip
AFFINE = ["EEE", "VEE", "EVV", "VVV"]
COLUMNS = ["EEI", "VEI", "EVI", "VVI"]
SIMILAR = ["EII", "VII", "EVE", "VVE", "EEV", "VEV"]
NPAR_OF_MCLUST = dict(zip(CODES, [1, 3, 4, 6, 10, 12, 10, 12, 16, 18, 22, 24, 28, 30], strict=True))
"""nVarParams(code, d=4, G=3) of mclust 6.0.0."""


def scatters(rng, structure, k=3, d=3):
    root = rng.normal(size=(k, d, 2 * d))
    full = root @ root.transpose(0, 2, 1) * rng.uniform(0.2, 5.0, k)[:, None, None]
    counts = rng.uniform(20.0, 80.0, k)
    scatter = counts[:, None, None] * full
    return counts, scatter if structure.dense else np.diagonal(scatter, axis1=1, axis2=2).copy()


def minus_twice_q(counts, scatter, full):
    if scatter.ndim == 2:
        scatter = scatter[:, :, None] * np.eye(scatter.shape[1])
    return sum(
        n * np.linalg.slogdet(sigma)[1] + np.trace(np.linalg.solve(sigma, w))
        for n, w, sigma in zip(counts, scatter, full, strict=True)
    )


@pytest.mark.parametrize("code", CODES)
def test_a_structure_has_as_many_parameters_as_in_mclust(code):
    assert COVARIANCES[code].n_free(3, 4) == NPAR_OF_MCLUST[code]


@pytest.mark.parametrize("code", CODES)
def test_an_m_step_keeps_equal_what_the_letters_say(rng, code):
    structure = COVARIANCES[code]
    counts, scatter = scatters(rng, structure)
    full = structure.full(structure.m_step(counts, scatter, None), 3, 3)
    values = np.linalg.eigvalsh(full)
    volumes = np.exp(np.log(values).mean(axis=1))
    shapes = values / volumes[:, None]
    assert (np.ptp(volumes) < 1e-10 * volumes.max()) == (code[0] == "E")
    assert (np.ptp(shapes, axis=0).max() < 1e-8) == (code[1] in "EI")
    assert (abs(shapes - 1).max() < 1e-10) == (code[1] == "I")
    commute = full[0] @ full[1] - full[1] @ full[0]
    assert (abs(commute).max() < 1e-8 * abs(full).max() ** 2) == (code[2] in "EI")
    off_diagonal = full - full * np.eye(3)
    assert (abs(off_diagonal).max() == 0) == (code[2] == "I")


@pytest.mark.parametrize("code", ["VEI", "EVI", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV"])
def test_no_general_optimizer_finds_a_better_m_step(rng, code):
    structure = COVARIANCES[code]
    counts, scatter = scatters(rng, structure, k=2)
    found = structure.m_step(counts, scatter, None)
    full = structure.full(found, 2, 3)
    best = minus_twice_q(counts, scatter, full)

    def loss(vector):
        moved = structure.unpack(vector, 2, 3, True, found)
        return minus_twice_q(counts, scatter, structure.full(moved, 2, 3))

    at = structure.pack(found, True)
    for _ in range(3):
        beside = minimize(loss, at + 0.2 * rng.normal(size=len(at)), method="BFGS")
        assert beside.fun >= best - 1e-6


def mm_axes(counts, scatter, axes, volume, rounds=3000):
    """Common axes by the majorization of Browne and McNicholas (2014), section 3."""
    omega = np.linalg.eigvalsh(scatter)[:, -1]
    for _ in range(rounds):
        squares = np.einsum("ji,kjl,li->ki", axes, scatter, axes)
        if volume == "V":
            variances = squares / counts[:, None]
        else:
            sizes = np.exp(np.log(squares).mean(axis=1))
            variances = squares / sizes[:, None] * (sizes.sum() / counts.sum())
        pull = np.zeros_like(axes)
        for w, o, v in zip(scatter, omega, variances, strict=True):
            pull += (w @ axes - o * axes) / v
        left, _, right = np.linalg.svd(-pull)
        axes = left @ right
    return np.einsum("ij,kj,lj->kil", axes, variances, axes)


@pytest.mark.parametrize("code", ["EVE", "VVE"])
def test_plane_rotations_end_no_lower_than_the_majorization(rng, code):
    structure = COVARIANCES[code]
    for _ in range(3):
        counts, scatter = scatters(rng, structure)
        begin = structure.from_full(counts / counts.sum(), scatter[::-1])
        ours = structure.m_step(counts, scatter, None, begin)
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        theirs = mm_axes(counts, scatter, axes, code[0])
        both = minus_twice_q(counts, scatter, ours), minus_twice_q(counts, scatter, theirs)
        assert both[0] <= minus_twice_q(counts, scatter, begin)
        assert both[0] <= both[1] + 1e-6 or ends_where_majorization_does(
            counts, scatter, ours, code
        )


def ends_where_majorization_does(counts, scatter, ours, code):
    """Whether another local optimum was met: the majorization does not leave ours either."""
    axes = np.linalg.eigh(np.tensordot([1.0, 1.3, 1.7], ours, 1))[1]
    again = mm_axes(counts, scatter, axes, code[0])
    return minus_twice_q(counts, scatter, again) == pytest.approx(
        minus_twice_q(counts, scatter, ours), abs=1e-6
    )


@pytest.mark.parametrize("code", CODES)
def test_an_m_step_from_its_own_answer_stays_there(rng, code):
    structure = COVARIANCES[code]
    counts, scatter = scatters(rng, structure)
    once = structure.m_step(counts, scatter, None)
    assert structure.m_step(counts, scatter, None, once) == pytest.approx(once, rel=1e-9, abs=1e-9)
    full = structure.full(once, 3, 3)
    back = structure.from_full(np.array([0.2, 0.3, 0.5]), full)
    assert back == pytest.approx(once, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("tied", [False, True])
def test_a_chart_has_n_free_dimensions_and_comes_back_also_where_eigenvalues_tie(rng, code, tied):
    structure, k, d = COVARIANCES[code], 2, 3
    full = np.repeat(np.diag([2.0, 2.0, 2.0])[None], k, axis=0)
    if not tied:
        root = rng.normal(size=(k, d, 2 * d))
        full = root @ root.transpose(0, 2, 1)
    around = structure.from_full(np.full(k, 0.5), full)
    at = structure.pack(around, True)
    assert at.shape == (structure.n_free(k, d),)
    assert structure.unpack(at, k, d, True, around) == pytest.approx(around, rel=1e-12, abs=1e-12)
    for size in (1e-4, 0.05):
        vector = at + size * rng.normal(size=len(at))
        there = structure.unpack(vector, k, d, True, around)
        back = structure.pack(there, True, around)
        # Axes of nearly tied eigenvalues are known to rounding over their gap.
        assert back == pytest.approx(vector, abs=1e-9)
        project = structure.from_full(np.full(k, 0.5), structure.full(there, k, d))
        assert project == pytest.approx(there, rel=1e-8, abs=1e-8)
    if not tied:
        slopes = [
            structure.unpack(at + 1e-6 * e, k, d, True, around)
            - structure.unpack(at - 1e-6 * e, k, d, True, around)
            for e in np.eye(len(at))
        ]
        flat = np.stack(slopes).reshape(len(at), -1) / 2e-6
        assert np.linalg.matrix_rank(flat, tol=1e-4) == structure.n_free(k, d)


def group_element(rng, code, d):
    if code in AFFINE:
        return rng.normal(size=(d, d)) + np.diag(rng.uniform(2.0, 9.0, d))
    if code in COLUMNS:
        return np.diag([1e-4, 1.0, 1e3])
    return 1e-3 * np.linalg.qr(rng.normal(size=(d, d)))[0]


@pytest.mark.parametrize("code", CODES)
def test_a_climb_is_the_same_in_all_units_of_the_structures_group(rng, code):
    model = GaussianMixtureModel(2, code)
    weights, means, full = random_params(rng, 3, 2)
    full = model.structure.full(model.structure.from_full(weights, full), 2, 3)
    x = mixture_rows(rng, 200, 3, 2, 0.0)
    root, shift = group_element(rng, code, 3), np.array([1.0, -2.0, 30.0])
    ends = []
    for a, b in ((np.eye(3), np.zeros(3)), (root, root @ shift)):
        cov = model.structure.from_full(weights, a @ full @ a.T)
        params = GaussianMixtureParams(weights, means @ a.T + b, cov)
        data = Table.from_array(x @ a.T + b)
        ends.append(climb(model, data, params, stopping=Stopping(0, 25)))
    jacobian = len(x) * np.linalg.slogdet(root)[1]
    assert ends[1].loglik + jacobian == pytest.approx(ends[0].loglik, rel=1e-8)
    assert ends[1].params.weights == pytest.approx(ends[0].params.weights, rel=1e-5)


@pytest.mark.parametrize("code", ["EVE", "VVE", "EEV", "VEV"])
def test_columns_of_very_different_scales_cost_no_digits(rng, code):
    x = mixture_rows(rng, 200, 3, 2, 0.1) @ (np.eye(3) + 0.3)
    ends = []
    for scale in (1e4, 1e9):  # so far apart that axes are the columns': then scales change nothing
        data = Table.from_array(x * [1.0, scale, 1.0 / scale])
        model = GaussianMixtureModel(2, code)
        start = model.start(data, np.eye(2)[(x[:, 0] > np.nanmedian(x[:, 0])).astype(int)])
        end = climb(model, data, start, stopping=Stopping(1e-9, 5000))
        assert end.status == "converged"
        ends.append(end.loglik + data.observed @ np.log([1.0, scale, 1.0 / scale]) @ data.weights)
    assert ends[0] == pytest.approx(ends[1], abs=1e-3)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_a_component_on_a_line_collapses_in_any_units_where_the_structure_lets_it(rng, code, scale):
    x = rng.normal(size=(60, 2)) * scale
    x[:10] = 40.0 * scale
    x[:10, 0] += scale * np.arange(10)
    data = Table.from_array(x)
    model = GaussianMixtureModel(2, code)
    start = model.start(data, np.eye(2)[(np.arange(60) >= 10).astype(int)])
    end = climb(model, data, start)
    # Equal volumes with equal or no shapes, and varying volumes of one shape, have no way there.
    assert (end.status == "degenerate") == (code in ("EVI", "VVI", "EVE", "VVE", "EVV", "VVV"))
    if end.status == "degenerate":
        assert any(word in end.message for word in ("singular", "collapsed"))


@pytest.mark.parametrize("code", [code for code in CODES if code not in ("EII", "VII")])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_components_that_collapse_together_in_a_column_end_the_climb_soon(rng, code, scale):
    """A column of two values: its missing cells keep the variances from being zero at once."""
    x = np.column_stack([rng.normal(size=80), np.repeat([0.0, 1.0], 40)]) * scale
    data = Table.from_array(np.where(rng.random(x.shape) < 0.3, np.nan, x))
    model = GaussianMixtureModel(2, code)
    start = model.start(data, np.eye(2)[(x[:, 1] > 0).astype(int)])
    end = climb(model, data, start)
    assert end.status == "degenerate"
    assert end.n_iter < 150


@pytest.mark.parametrize("code", CODES)
def test_one_column_knows_only_equal_and_varying_variances(rng, code):
    x = mixture_rows(rng, 100, 1, 2)
    single = code[0]
    start = {"weights": [0.5, 0.5], "means": [[-1.0], [1.0]]}

    def fit(name):
        shape = COVARIANCES[name].shape(2, 1)
        return GaussianMixture(
            2, covariance_type=name, tol=0, max_iter=15,
            init_params=start | {"covariances": np.full(shape, 1.5)},
        ).fit(x)  # fmt: skip

    assert fit(code).loglik_ == pytest.approx(fit(single).loglik_, rel=1e-10)
    assert fit(code).n_parameters_ == fit(single).n_parameters_


@pytest.mark.parametrize("code", ["E", "V"])
def test_codes_of_one_column_refuse_more(rng, code):
    with pytest.raises(InvalidData, match=f"covariance_type {code} is for one column, not for 3"):
        GaussianMixture(2, covariance_type=code).fit(rng.normal(size=(30, 3)))


def test_starting_values_must_have_the_structure(rng):
    x = mixture_rows(rng, 80, 2, 2)
    full = np.stack([np.diag([1.0, 2.0]), np.diag([1.0, 5.0])])
    start = {"weights": [0.5, 0.5], "means": x[:2], "covariances": full}
    with pytest.raises(ValueError, match="are not of the structure VEV; the nearest"):
        GaussianMixture(2, covariance_type="VEV", init_params=start).fit(x)
    start["covariances"] = COVARIANCES["VEV"].from_full(np.array([0.5, 0.5]), full)
    assert GaussianMixture(2, covariance_type="VEV", init_params=start).fit(x).converged_


@pytest.mark.parametrize("code", ["VEI", "EVI", "VEE", "EVE", "VVE", "VEV", "EVV"])
def test_scatter_of_no_size_has_no_m_step(code):
    structure = COVARIANCES[code]
    scatter = np.stack([np.eye(2), np.zeros((2, 2))])
    if not structure.dense:
        scatter = np.diagonal(scatter, axis1=1, axis2=2)
    with pytest.raises(Degenerate, match=r"component"):
        structure.m_step(np.array([5.0, 5.0]), scatter, None)


@pytest.mark.parametrize("seed", [2606, 4250])
def test_scatter_that_no_component_fills_has_no_common_shape(seed):
    """Fewer rows than columns: the volumes of VEE find only a singular matrix to share."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(3, 4))
    scatter = np.einsum("ni,nj->ij", rows, rows)[None]
    with pytest.raises(Degenerate, match="singular"):
        COVARIANCES["VEE"].m_step(np.array([3.0]), scatter, None, 1e-3 * np.eye(4)[None])


@pytest.mark.parametrize("angle", [4e-5, 1e-3])
@pytest.mark.parametrize("code", ["VEE", "EVV", "EEV", "VEV", "EVE", "VVE"])
def test_rounding_of_a_structured_covariance_is_known_to_the_climb(rng, code, angle):
    """Off its structure a loglik has a slope, and rounding goes there: by eps times n_k VIF_k."""
    tight = np.array([[1.0, 1.0, 0.0], [0.0, angle, 0.0], [0.0, 0.0, 1.0]])
    x = rng.normal(size=(40, 3)) @ tight
    x[20:] = 2.0 * x[20:] * [1.0, 1.0, 3.0] + 8.0
    data = Table.from_array(x)
    model = GaussianMixtureModel(2, code)
    params = model.start(data, np.eye(2)[np.arange(40) // 20])
    params = model.m_step(model.e_step(params, data), params)
    stats = model.e_step(params, data)
    moved = []
    for _ in range(20):
        last_bits = 1.0 + np.finfo(float).eps * rng.choice([-0.5, 0.0, 0.5, 1.0], size=(2, 3, 3))
        other = np.tril(params.covariances * last_bits)
        other += np.tril(other, -1).transpose(0, 2, 1)
        there = model.e_step(
            GaussianMixtureParams(params.weights, params.means, other), data
        ).loglik
        moved.append(abs(there - stats.loglik))
    assert max(moved) < ROUNDING * stats.magnitude
    plain = abs(model.posterior(params, data)[0]).sum()
    assert max(moved) > ROUNDING * plain


@pytest.mark.parametrize("code", ["full", "VVV", "EVE"])
def test_a_component_flatter_than_doubles_hold_is_refused_whatever_the_pooled_one_is(code):
    """The pooled covariance is as flat, so that next to it the component is not small."""
    flat = np.array([[1.0, 1.0 - 2e-15], [1.0 - 2e-15, 1.0]])
    less = np.array([[1.0, 1.0 - 1e-9], [1.0 - 1e-9, 1.0]])
    structure, weights = COVARIANCES[code], np.array([0.5, 0.5])
    check_collapse(structure, weights, np.stack([less, less]))
    with pytest.raises(Degenerate, match="covariance of component 1 collapsed"):
        check_collapse(structure, weights, np.stack([less, flat]))
