"""Real protein chains: reading structure files, packing them, opening and batching packs.

Names are resolved on first use, so that importing this package costs nothing and a process that
only reads structures never imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minifold_core.lazy import exports

if TYPE_CHECKING:
    from minifold_core.data.batching import collate
    from minifold_core.data.dataset import PackedDataset, open_dataset
    from minifold_core.data.limits import Limits
    from minifold_core.data.packing import PackReport, pack
    from minifold_core.data.records import Chain, Rejection
    from minifold_core.data.structures import read_structure

__all__ = [
    "Chain",
    "Limits",
    "PackReport",
    "PackedDataset",
    "Rejection",
    "collate",
    "open_dataset",
    "pack",
    "read_structure",
]

_HOMES = {
    "Chain": "records",
    "Limits": "limits",
    "PackReport": "packing",
    "PackedDataset": "dataset",
    "Rejection": "records",
    "collate": "batching",
    "open_dataset": "dataset",
    "pack": "packing",
    "read_structure": "structures",
}

__getattr__ = exports(__name__, _HOMES)
