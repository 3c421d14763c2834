"""Writing a packed file: all of it, or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from minifold_core.data.packfile import HEADER_KEY, SCHEMA, to_bits
from minifold_core.data.records import SPLITS, Chain, Rejection
from minifold_core.files import atomic
from minifold_core.residues import MAX_SIDECHAIN_ATOMS, encode


def write_pack(
    path: Path, chains: Sequence[Chain], rejected: Iterable[Rejection], summary: dict[str, Any]
) -> None:
    """Write ``chains`` to ``path`` in the layout of :mod:`minifold_core.data.packfile`.

    The same chains give the same bytes. The file appears under its name only when it is complete.

    Args:
        path: the file to write; one that is there is replaced.
        chains: at least one, with names that differ.
        rejected: what was left out.
        summary: JSON values for the header.

    Raises:
        MinifoldError: the file cannot be written.
    """
    header = {HEADER_KEY: json.dumps({"schema": SCHEMA, **summary}, sort_keys=True)}
    with atomic(path) as unfinished:
        save_file(_tensors(chains, rejected), unfinished, metadata=header)


def _tensors(chains: Sequence[Chain], rejected: Iterable[Rejection]) -> dict[str, NDArray[Any]]:
    sides = [_sidechain(chain) for chain in chains]
    known = [mask for _, mask in sides]
    backbone_mask = to_bits(np.concatenate([c.backbone_mask for c in chains]))
    return {
        "tokens": np.array(encode("".join(c.sequence for c in chains)), np.uint8),
        "residue_index": np.concatenate([c.residue_index for c in chains]).astype(np.int32),
        "backbone": np.concatenate([c.backbone for c in chains]).astype(np.float32),
        "backbone_mask": backbone_mask.astype(np.uint8),
        "sidechain": np.concatenate([coord[mask] for coord, mask in sides]).astype(np.float32),
        "sidechain_mask": to_bits(np.concatenate(known)),
        "offsets": _offsets(len(c) for c in chains),
        "sidechain_offsets": _offsets(int(mask.sum()) for mask in known),
        "split": np.array([SPLITS.index(c.split) for c in chains], np.uint8),
        "names": _text(c.name for c in chains),
        "cath": _text(" ".join(c.cath) for c in chains),
        "provenance": _text(c.provenance for c in chains),
        "rejected": _text("\t".join(map(_flat, (r.name, r.reason, r.detail))) for r in rejected),
    }


def _sidechain(chain: Chain) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Side-chain atoms [L, 10, 3] in ångström and which are known, also where there is none."""
    if chain.sidechain is None or chain.sidechain_mask is None:
        shape = (len(chain), MAX_SIDECHAIN_ATOMS)
        return np.zeros((*shape, 3), np.float32), np.zeros(shape, bool)
    return chain.sidechain, chain.sidechain_mask


def _offsets(lengths: Iterable[int]) -> NDArray[np.int64]:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _text(lines: Iterable[str]) -> NDArray[np.uint8]:
    joined = "\n".join(line.replace("\n", " ") for line in lines)
    # File names need not be Unicode; what has no letter becomes a question mark.
    return np.frombuffer(joined.encode(errors="replace"), np.uint8)


def _flat(field: str) -> str:
    return field.replace("\t", " ")
