"""Chains of the CATH 4.2 ``chain_set.jsonl``, one JSON object a line."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minifold_core.data.breaks import residue_index
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.residues import BACKBONE_ATOMS, decode, encode


def read_record(line: bytes, provenance: str) -> Chain:
    """The chain of one line: ``name``, ``seq``, ``coords`` (N, CA, C, O in Å) and ``CATH``.

    Atoms whose coordinates are NaN are masked; their residues keep their letters.

    Args:
        line: one JSON object.
        provenance: file and line, for the chain and for the error.

    Raises:
        RequestError: the line is no such object; one line naming the place.
    """
    try:
        record: dict[str, Any] = json.loads(line)
        sequence = decode(encode(record["seq"]))
        atoms = [np.array(record["coords"][atom], np.float32) for atom in BACKBONE_ATOMS]
        backbone = np.stack(atoms, axis=1).reshape(len(sequence), 4, 3)
        name, cath = str(record["name"]), tuple(map(str, record.get("CATH") or ()))
    except (ValueError, KeyError, TypeError, AttributeError, RequestError) as error:
        raise RequestError(f"{provenance}: not a CATH chain record ({error!r})") from error
    mask: NDArray[np.bool_] = np.all(np.isfinite(backbone), axis=-1)
    backbone = np.where(mask[..., None], backbone, np.float32(0))
    return Chain(
        name=name,
        sequence=sequence,
        residue_index=residue_index(backbone, mask, np.arange(len(sequence))),
        backbone=backbone,
        backbone_mask=mask,
        cath=cath,
        provenance=provenance,
    )
