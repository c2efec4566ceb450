"""Data to fit: generators with controlled overlap, real tables, own CSV files, missing cells.

Everything is loaded on first use; checking a configuration imports neither pandas nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emlib.datasets.dataset import Dataset, DatasetInfo
    from emlib.datasets.mechanisms import MECHANISMS
    from emlib.datasets.missingness import check_mechanism, draw_mask, mask_files, own_rate
    from emlib.datasets.spec import (
        DATASET_KEYS,
        GENERATORS,
        check_spec,
        describe_dataset,
        draw_dataset,
        draw_truth,
        source_files,
    )
    from emlib.datasets.tables import TABLES, TableInfo

_PUBLIC = {
    "DATASET_KEYS": "spec",
    "Dataset": "dataset",
    "DatasetInfo": "dataset",
    "GENERATORS": "spec",
    "MECHANISMS": "mechanisms",
    "TABLES": "tables",
    "TableInfo": "tables",
    "check_mechanism": "missingness",
    "check_spec": "spec",
    "describe_dataset": "spec",
    "draw_dataset": "spec",
    "draw_mask": "missingness",
    "draw_truth": "spec",
    "mask_files": "missingness",
    "own_rate": "missingness",
    "source_files": "spec",
}

__all__ = [
    "DATASET_KEYS",
    "GENERATORS",
    "MECHANISMS",
    "TABLES",
    "Dataset",
    "DatasetInfo",
    "TableInfo",
    "check_mechanism",
    "check_spec",
    "describe_dataset",
    "draw_dataset",
    "draw_mask",
    "draw_truth",
    "mask_files",
    "own_rate",
    "source_files",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(f"emlib.datasets.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'emlib.datasets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
