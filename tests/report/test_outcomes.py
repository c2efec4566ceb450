"""References, losses and hits of a few fits, worked out by hand."""

import numpy as np

from emlib.report.outcomes import has_flag, judge
from tests.report.conftest import fit_frame, reference_frame

TOLERANCE = 1e-3


def test_a_hit_is_within_the_tolerance_of_the_reference():
    fits = fit_frame([{"loglik_polished": -100.0009}, {"loglik_polished": -100.0011}])
    found = judge(fits, reference_frame(), TOLERANCE)
    assert found.hit.tolist() == [True, False]
    assert np.allclose(found.loss, [0.0009, 0.0011])


def test_a_fit_that_gave_no_optimum_is_a_miss_with_infinite_loss():
    dead = [{"status": name} for name in ("failed", "degenerate", "invalid", "lost")]
    dead += [{"status_polished": "degenerate"}, {"status": "timeout", "loglik_polished": np.nan}]
    found = judge(fit_frame(dead), reference_frame(), TOLERANCE)
    assert np.isinf(found.loss).all()
    assert not found.hit.any()


def test_a_fit_whose_allowance_ran_out_is_judged_by_its_polished_endpoint():
    fits = fit_frame([{"status": "budget"}, {"status": "max_iter", "loglik_polished": -101.0}])
    assert judge(fits, reference_frame(), TOLERANCE).hit.tolist() == [True, False]


def test_an_optimum_that_the_polish_found_is_not_the_climb_s():
    fits = fit_frame([{"end": -154.0}, {"end": -100.05}])
    found = judge(fits, reference_frame(), TOLERANCE)
    assert found.hit.tolist() == [False, True]
    assert found.loss.tolist() == [54.0, 0.0]
    assert judge(fits, reference_frame(), TOLERANCE, polish_may_gain=np.inf).hit.all()


def test_a_reference_is_raised_by_an_optimum_that_a_polish_found():
    fits = fit_frame([{"end": -120.0, "loglik_polished": -99.0}])
    found = judge(fits, reference_frame(), TOLERANCE)
    assert found.reference.tolist() == [-99.0]
    assert found.loss.tolist() == [21.0]


def test_a_spurious_optimum_above_the_reference_is_a_miss():
    fits = fit_frame([{"flags": "slow_tail,spurious", "loglik_polished": -90.0}, {}])
    found = judge(fits, reference_frame(), TOLERANCE)
    assert found.above.tolist() == [True, False]
    assert found.hit.tolist() == [False, True]
    assert np.isinf(found.loss[0])
    assert not found.references["raised"].any()


def test_a_spurious_optimum_below_the_reference_keeps_its_loss():
    fits = fit_frame([{"flags": "spurious", "loglik_polished": -103.0}])
    assert judge(fits, reference_frame(), TOLERANCE).loss.tolist() == [3.0]


def test_spurious_optima_count_where_they_are_included():
    fits = fit_frame([{"flags": "spurious", "loglik_polished": -90.0}, {}])
    found = judge(fits, reference_frame(with_spurious=-95.0), TOLERANCE, spurious=True)
    assert found.hit.tolist() == [True, False]
    assert found.loss.tolist() == [0.0, 10.0]


def test_a_reference_that_the_grid_beats_is_raised_for_all():
    fits = fit_frame([{}, {"loglik_polished": -99.0, "init": "kmeans"}])
    found = judge(fits, reference_frame(), TOLERANCE)
    assert found.hit.tolist() == [False, True]
    assert found.loss.tolist() == [1.0, 0.0]
    event = found.references.iloc[0]
    assert event["raised"]
    assert (event["searched"], event["reference"], event["gain"]) == (-100.0, -99.0, 1.0)
    assert (event["raised_by"], event["raised_init"]) == ("f1", "kmeans")


def test_rounding_above_the_reference_is_no_event():
    found = judge(fit_frame([{"loglik_polished": -100.0 + 1e-7}]), reference_frame(), TOLERANCE)
    assert not found.references["raised"].any()
    assert found.hit.all()


def test_an_unfinished_polish_raises_no_reference():
    fits = fit_frame([{"loglik_polished": -99.0, "status_polished": "max_iter"}])
    found = judge(fits, reference_frame(), TOLERANCE)
    assert found.reference.tolist() == [-100.0]
    assert found.hit.all()


def test_references_belong_to_their_own_data_and_model():
    fits = fit_frame([{}, {"data_id": "E", "loglik_polished": -50.0}, {"model": "n"}])
    found = judge(fits, reference_frame(), TOLERANCE)
    assert found.reference.tolist() == [-100.0, -50.0, -100.0]
    assert found.references["raised"].tolist() == [False, True, True]


def test_without_a_reference_a_fit_cannot_be_a_hit():
    fits = fit_frame([{"data_id": "E", "status": "failed", "loglik_polished": np.nan}])
    found = judge(fits, reference_frame(), TOLERANCE)
    assert np.isinf(found.loss).all()
    assert np.isnan(found.reference).all()


def test_flags_are_matched_whole():
    fits = fit_frame([{"flags": "not_spurious_at_all"}, {"flags": "boundary,spurious"}])
    assert has_flag(fits, "spurious").tolist() == [False, True]
