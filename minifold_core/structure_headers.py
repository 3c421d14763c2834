"""What a structure file says beside its atoms: what it is, and the sequence of its chain."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from minifold_core.residues import ONE_TO_THREE, THREE_TO_ONE

CHAIN_ID = "A"
UNKNOWN = "UNK"
PDB_REMARK = 6
"""The first of the numbers that PDB files keep for free text."""
PDB_TEXT = 68
"""Characters of free text in a line of remarks."""
PDB_RESIDUES = 13
"""Residues in a line of the sequence."""
CIF_LINE = 80


def polymer(sequence: str, index: np.ndarray) -> list[str]:
    """Three-letter names of a chain from its first residue to its last.

    Args:
        sequence: L one-letter codes.
        index: [L] increasing positions along the chain; what they leave out is unknown.
    """
    places = index - index[0]
    names = [UNKNOWN] * (int(places[-1]) + 1)
    for place, code in zip(places.tolist(), sequence.upper(), strict=True):
        names[place] = ONE_TO_THREE.get(code, UNKNOWN)
    return names


def pdb_remarks(remarks: Sequence[str]) -> list[str]:
    """The lines of a PDB file that say something in free text."""
    text = [line for remark in remarks for line in textwrap.wrap(remark.upper(), PDB_TEXT)]
    head = f"REMARK {PDB_REMARK:3}"
    return [head, *(f"{head} {line}" for line in text)] if text else []


def pdb_header(name: str, remarks: Sequence[str], residues: Sequence[str]) -> list[str]:
    """The lines of a PDB file before its atoms: TITLE, EXPDTA, REMARK and SEQRES."""
    rows = [residues[k : k + PDB_RESIDUES] for k in range(0, len(residues), PDB_RESIDUES)]
    chain = f"{CHAIN_ID} {len(residues):4}"
    return [
        f"TITLE     {name}"[:80],
        "EXPDTA    THEORETICAL MODEL",
        *pdb_remarks(remarks),
        *(f"SEQRES {n:3} {chain}  {' '.join(row)}" for n, row in enumerate(rows, start=1)),
    ]


def pdbx_categories(
    name: str, remarks: Sequence[str], residues: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The categories of an mmCIF or BinaryCIF file beside ``atom_site``, with their columns."""
    code = "".join(f"({each})" if each == UNKNOWN else THREE_TO_ONE[each] for each in residues)
    canonical = "".join(THREE_TO_ONE.get(each, "X") for each in residues)
    return {
        "entry": {"id": name},
        "struct": {
            "entry_id": name,
            "title": name,
            "pdbx_model_details": " ".join(remarks) or ".",
        },
        "exptl": {"entry_id": name, "method": "THEORETICAL MODEL"},
        "entity": {"id": 1, "type": "polymer"},
        "entity_poly": {
            "entity_id": 1,
            "type": "polypeptide(L)",
            "nstd_linkage": "no",
            "nstd_monomer": "no",
            "pdbx_seq_one_letter_code": "\n".join(textwrap.wrap(code, CIF_LINE)),
            "pdbx_seq_one_letter_code_can": "\n".join(textwrap.wrap(canonical, CIF_LINE)),
            "pdbx_strand_id": CHAIN_ID,
        },
        "entity_poly_seq": {
            "entity_id": np.ones(len(residues), dtype=int),
            "num": np.arange(1, len(residues) + 1),
            "mon_id": np.array(residues),
            "hetero": np.array(["n"] * len(residues)),
        },
        "struct_asym": {"id": CHAIN_ID, "entity_id": 1},
    }


def pdbx_confidence(
    plddt: np.ndarray, residues: Sequence[str], index: np.ndarray
) -> dict[str, dict[str, Any]]:
    """The categories by which viewers colour a model by confidence (ModelCIF, ``ma_qa_metric``).

    Args:
        plddt: [L] predicted lDDT of the residues that are there, 0 to 100.
        residues: names from the first residue to the last, as :func:`polymer` gives them.
        index: [L] increasing positions along the chain.
    """
    places, count = index - index[0], len(index)
    return {
        "ma_qa_metric": {
            "id": np.array([1, 2]),
            "name": np.array(["pLDDT", "pLDDT"]),
            "type": np.array(["pLDDT", "pLDDT"]),
            "mode": np.array(["global", "local"]),
        },
        "ma_qa_metric_global": {
            "ordinal_id": 1,
            "model_id": 1,
            "metric_id": 1,
            "metric_value": plddt.mean().round(2),
        },
        "ma_qa_metric_local": {
            "ordinal_id": np.arange(1, count + 1),
            "model_id": np.ones(count, dtype=int),
            "label_asym_id": np.array([CHAIN_ID] * count),
            "label_seq_id": places + 1,
            "label_comp_id": np.array(residues)[places],
            "metric_id": np.full(count, 2),
            "metric_value": plddt.round(2),
        },
    }
