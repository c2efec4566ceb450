"""Cells, blocks and fits of a resolved study."""

import pytest

from emlib.errors import ConfigError
from emlib.study import grid

STUDY = {
    "study": "s",
    "seed": 1,
    "datasets": {"real": {"table": "iris"}, "drawn": {"generator": "g"}},
    "missingness": {
        "none": {"mechanism": "none", "rate": 0.0, "settings": {}},
        "mcar-0.1": {"mechanism": "mcar", "rate": 0.1, "settings": {}},
    },
    "models": {
        "two": {"family": "f", "settings": {"n_components": 2}},
        "three": {"family": "f", "settings": {"n_components": 3}},
    },
    "inits": {
        "random": {"init": "random", "settings": {}, "oracle": False, "deterministic": False},
        "truth": {"init": "truth", "settings": {}, "oracle": True, "deterministic": True},
    },
    "algorithms": {"em": {"algorithm": "em", "settings": {}}},
    "exclude": [{"dataset": ["real"], "model": ["two"]}],
    "truths": {"drawn": ["two"]},
    "replicates": 5,
    "restarts": 3,
}


def test_oracles_are_planned_where_the_truth_is_a_start_of_the_model():
    oracles = {(e.dataset, e.model) for e in grid.entries(STUDY) if e.oracle}
    assert oracles == {("drawn", "two")}


def test_excluded_combinations_are_not_planned():
    assert {(e.dataset, e.model) for e in grid.entries(STUDY)} == {
        ("drawn", "two"),
        ("drawn", "three"),
        ("real", "three"),
    }


def test_a_deterministic_init_has_one_start():
    starts = {e.init: e.starts for e in grid.entries(STUDY)}
    assert starts == {"random": 3, "truth": 1}


def test_the_order_of_the_config_changes_nothing():
    axes = ("datasets", "missingness", "models", "inits")
    turned = {**STUDY, **{axis: dict(reversed(STUDY[axis].items())) for axis in axes}}
    assert grid.entries(turned) == grid.entries(STUDY)
    assert grid.blocks(turned, 2) == grid.blocks(STUDY, 2)


def test_block_k_holds_replicates_kb_up_to_the_next():
    bounds = {(b.block, b.first, b.last) for b in grid.blocks(STUDY, 2)}
    assert bounds == {(0, 0, 2), (1, 2, 4), (2, 4, 5)}


def test_more_replicates_leave_full_blocks_as_they_are():
    before = set(grid.blocks({**STUDY, "replicates": 4}, 2))
    assert before < set(grid.blocks({**STUDY, "replicates": 8}, 2))


def test_a_blocks_fits_come_by_replicate_then_init_then_start():
    block = grid.Block("drawn", "none", "two", 1, 2, 4)
    fits = [(f.replicate, f.entry.init, f.start) for f in grid.block_fits(STUDY, block)]
    each = [("random", 0), ("random", 1), ("random", 2), ("truth", 0)]
    assert fits == [(r, *rest) for r in (2, 3) for rest in each]


def test_a_cells_identity_sees_its_settings_and_the_seed_but_not_names():
    cells = {e.cell_id for e in grid.entries(STUDY)}
    assert len(cells) == len(grid.entries(STUDY))
    renamed = {**STUDY, "study": "other", "models": {"deux": STUDY["models"]["two"]}}
    renamed = {**renamed, "exclude": [], "truths": {"drawn": ["deux"]}}
    assert {e.cell_id for e in grid.entries(renamed) if e.dataset == "drawn"} <= cells
    assert not {e.cell_id for e in grid.entries({**STUDY, "seed": 2})} & cells


def test_a_million_blocks_are_the_most():
    assert len(grid.blocks({**STUDY, "replicates": 6 * 10**11}, 10**10)) == 6 * 60
    with pytest.raises(ConfigError, match="1,000,001 in blocks of 1 are 1,000,001 blocks for each"):
        grid.blocks({**STUDY, "replicates": 1_000_001}, 1)
