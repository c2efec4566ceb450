"""Columns of the tables that the report is made of (``results/<study>/tables``), in order.

results/README.md says what each column means; a test keeps the two together.
"""

import pyarrow as pa

from emlib.report.cells import FLAGS, STATUSES
from emlib.study.measures import MEASURES

_TYPES = {"str": pa.string(), "f64": pa.float64(), "i32": pa.int32(), "bool": pa.bool_()}


def _schema(columns: str) -> pa.Schema:
    pairs = (column.split(":") for column in columns.split())
    return pa.schema([(name, _TYPES[kind]) for name, kind in pairs])


_AXES = "dataset:str missingness:str model:str algorithm:str init:str oracle:bool "

TABLES: dict[str, pa.Schema] = {
    "cells": _schema(
        "cell_id:str dataset:str missingness:str mechanism:str rate:f64 model:str init:str "
        "algorithm:str oracle:bool conditional:bool deterministic:bool fits:i32 replicates:i32 "
        "hits:i32 hit_rate:f64 hit_low:f64 hit_high:f64 start_rate:f64 start_low:f64 "
        "start_high:f64 ert:f64 ert_low:f64 ert_high:f64 ert_seconds:f64 ert_seconds_low:f64 "
        "ert_seconds_high:f64 loglik_median:f64 loglik_q05:f64 loglik_q95:f64 loss_median:f64 "
        "e_steps_median:f64 e_steps_init_median:f64 e_steps_climb_median:f64 seconds_median:f64 "
        "seconds_init_median:f64 seconds_climb_median:f64 failures:i32 "
        + "".join(f"status_{name}:i32 " for name in STATUSES)
        + "".join(f"flag_{name}:i32 " for name in FLAGS)
        + "spurious_above:i32"
    ),
    "differences": _schema(
        "cell_id:str "
        + _AXES
        + "estimand:str baseline:str replicates:i32 difference:f64 low:f64 high:f64 "
        "standard_error:f64 critical:f64 verdict:str replicates_needed:i32"
    ),
    "profiles": _schema("cell_id:str axis:str value:f64 share:f64 low:f64 high:f64"),
    "curves": _schema(
        "cell_id:str iteration:i32 loss_median:f64 loss_q25:f64 loss_q75:f64 loglik_median:f64"
    ),
    "curves_e_steps": _schema("cell_id:str e_steps:f64 loss_median:f64 loss_q25:f64 loss_q75:f64"),
    "losses": _schema("cell_id:str loss:f64 share:f64"),
    "estimation": _schema(
        "cell_id:str "
        + "".join(f"{name}:f64 {name}_se:f64 {name}_replicates:i32 " for name in MEASURES)
    ),
    "correlations": _schema(
        "dataset:str missingness:str model:str algorithm:str measure:str correlation:f64 "
        "standard_error:f64 replicates:i32"
    ),
    "sensitivity": _schema(
        "cell_id:str variant:str value:f64 replicates:i32 hits:i32 hit_rate:f64 hit_low:f64 "
        "hit_high:f64 verdict:str"
    ),
    "sensitivity_summary": _schema(
        "variant:str value:f64 largest_change:f64 mean_change:f64 best_changed:i32 settings:i32 "
        "verdicts_changed:i32"
    ),
    "references": _schema(
        "dataset:str missingness:str model:str data_id:str replicate:i32 searched:f64 "
        "reference:f64 raised:bool gain:f64 raised_by:str raised_init:str"
    ),
    "optima": _schema(
        "dataset:str missingness:str model:str data_id:str replicate:i32 rank:i32 objective:f64 "
        "loss:f64 starts:i32 reached:i32 share:f64 low:f64 high:f64 in_search:bool flags:str "
        "smallest_component:f64 eigenvalue_ratio:f64 linear_rate:f64 verdict:str reason:str "
        "newton_decrement:f64 smallest_share:f64 em_rate:f64"
    ),
    "basins": _schema(
        "dataset:str missingness:str model:str data_id:str replicate:i32 rank:i32 init:str "
        "algorithm:str oracle:bool starts:i32 reached:i32 share:f64 low:f64 high:f64"
    ),
    "budgets": _schema(
        "cell_id:str budget:f64 replicates:i32 hits:i32 hit_rate:f64 hit_low:f64 hit_high:f64 "
        "exhausted:i32"
    ),
    "worst": _schema(
        "fit_id:str " + _AXES + "replicate:i32 start:i32 status:str flags:str message:str "
        "status_polished:str loglik_polished:f64 reference:f64 loss:f64"
    ),
    "coverage": _schema(
        "dataset:str missingness:str model:str block:i32 first:i32 last:i32 planned:i32 "
        "found:i32 missing:str"
    ),
    "machines": _schema(
        "processor:str fits:i32 seconds_init:f64 seconds_climb:f64 seconds_polish:f64 "
        "started:f64 ended:f64"
    ),
    "replicates": _schema(
        "cell_id:str replicate:i32 starts:i32 start_hits:i32 work:f64 seconds:f64 "
        "work_to_hit:f64 seconds_to_hit:f64 best_fit:str best_loss:f64"
    ),
    "hits": _schema(
        "fit_id:str cell_id:str replicate:i32 start:i32 reference:f64 loss:f64 hit:bool "
        "spurious_above:bool best_of_replicate:bool"
    ),
    "rings": _schema(
        "dataset:str missingness:str model:str init:str oracle:bool replicate:i32 data_id:str "
        "objective:f64 chosen:bool diameter:f64 diameter_spread:f64 width:f64 orientation:f64 "
        "asymmetry:f64 central_brightness:f64 east:f64 north:f64"
    ),
}
