"""Packing side chains onto the backbone of a structure file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from biotite.structure import Atom as BiotiteAtom
from biotite.structure import AtomArray, BadStructureError, array
from biotite.structure.io import pdb, pdbx
from torch import Tensor

from minifold_core.discovery import version_package
from minifold_core.errors import ProtectedError, RequestError, did_you_mean
from minifold_core.files import atomic
from minifold_core.model import FoldModel
from minifold_core.residues import BACKBONE_ATOMS, ONE_TO_THREE, SIDECHAIN_ATOMS
from minifold_core.structure_headers import pdb_remarks
from minifold_core.structures import PDB_LAST_RESIDUE
from minifold_core.units import MODEL_UNIT
from minifold_core.weights.find import find_weights
from minifold_core.weights.io import load_model
from minifold_core.weights.shipped import shipped_weights
from minifold_sidechain.backbones import Backbone, read_backbone

WRITTEN = (".pdb", ".cif", ".bcif")
SAID = (
    "Side chains by {packer} of minifold-sidechain on the backbone of {file}. "
    "B-factors of side chains: 100 times the probability of the chosen rotamer; all others 0."
)
"""What a packed file says of itself."""
NAMED = 10
"""Residues at most that are named because they were not packed."""


def pack_file(file: Path, out: Path, weights: Path | None, device: torch.device) -> str:
    """Pack ``file``, write ``out``, and say what was done.

    Raises:
        RequestError: the file cannot be read or has no backbone, the suffix of ``out`` is none that
            is written or its format cannot hold the structure, or the weights are no packer's.
        ProtectedError: ``out`` exists.
        MinifoldError: ``out`` cannot be written.
    """
    if out.suffix not in WRITTEN:
        raise RequestError(f"{out}: '{out.suffix}': {did_you_mean(out.suffix, WRITTEN)}")
    if out.exists():
        raise ProtectedError(f"{out} exists; choose another --out")
    backbone = read_backbone(file)
    model, name = find_packer(weights)
    sidechain, chance = predict(model.to(device), backbone)
    write(packed(backbone, sidechain, chance), out, SAID.format(packer=name, file=file.name))
    done = f"{_residues(int(backbone.packable.sum()))} packed by {name}: {out}"
    if left := backbone.unpacked:
        more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
        stay = "they are" if len(left) > 1 else "it is"
        done += f"; {_residues(len(left))} kept as {stay}: {', '.join(left[:NAMED])}{more}"
    if backbone.models > 1:
        done += f"; the first of {backbone.models} models"
    return done


def _residues(count: int) -> str:
    return f"{count} residue{'' if count == 1 else 's'}"


def find_packer(weights: Path | None) -> tuple[FoldModel, str]:
    """A model that gives side chains to a given backbone, and what to call it."""
    if weights is None:
        shipped = shipped_weights(version_package("packer"))
        if not shipped:
            raise RequestError("no weights of packer are installed; give --weights RUN|FILE|ID:TAG")
        size, path = next(iter(shipped.items()))
        name = f"packer ({size}, shipped)"
    else:
        path, name = find_weights(weights), str(weights)
    model, _ = load_model(path)
    given = {port for step in model.wiring.steps for port in step.gives.values()}
    if model.recipe.process is not None or "sidechain" not in given:
        raise RequestError(
            f"{name}: '{model.recipe.id}' is no packer: it needs a head 'sidechain' and no denoiser"
        )
    return model, name


@torch.no_grad()
def predict(model: FoldModel, backbone: Backbone) -> tuple[np.ndarray, np.ndarray]:
    """[L, 10, 3] side-chain atoms in ångström, and [L] the probability of each rotamer."""
    batch = backbone.batch().to(next(model.parameters()).device)
    features = model.eval().trunk(batch, complete=True)
    chance = features["rotamer_logits"].softmax(-1).amax(-1)
    return _numpy(features["sidechain"] * MODEL_UNIT), _numpy(chance)


def _numpy(x: Tensor) -> np.ndarray:
    return x[0].cpu().double().numpy()


def packed(backbone: Backbone, sidechain: np.ndarray, chance: np.ndarray) -> AtomArray:
    """The backbones as they were given, and side chains behind them."""
    atoms: list[BiotiteAtom] = []
    for row, letter in enumerate(backbone.letters):
        given = backbone.atoms[backbone.starts[row] : backbone.starts[row + 1]]
        if not backbone.packable[row]:
            atoms += [
                _atom(x, x.coord, x.atom_name, x.element, x.res_name, 0.0, x.hetero) for x in given
            ]
            continue
        three = ONE_TO_THREE[letter]
        kept = given[np.isin(given.atom_name, (*BACKBONE_ATOMS, "OXT"))]
        atoms += [_atom(given[0], x.coord, x.atom_name, x.element, three, 0.0) for x in kept]
        b = 100 * float(chance[row])
        atoms += [
            _atom(given[0], at, name, name[0], three, b)
            for name, at in zip(SIDECHAIN_ATOMS[letter], sidechain[row], strict=False)
        ]
    return array(atoms)


def _atom(
    like: BiotiteAtom,
    coord: np.ndarray,
    name: str,
    element: str,
    residue: str,
    b: float,
    hetero: bool = False,
) -> BiotiteAtom:
    return BiotiteAtom(
        np.asarray(coord, np.float32).round(3),
        chain_id=like.chain_id,
        res_id=like.res_id,
        ins_code=like.ins_code,
        res_name=residue,
        hetero=hetero,
        atom_name=name,
        element=element,
        b_factor=round(b, 2),
        occupancy=1.0,
    )


def write(atoms: AtomArray, out: Path, said: str) -> None:
    """Write a structure and what is ``said`` of it; the file appears complete or not at all.

    Raises:
        RequestError: it does not fit the columns of a PDB file.
        MinifoldError: the file cannot be written.
    """
    file: Any
    if out.suffix == ".pdb":
        if (last := atoms.res_id.max()) > PDB_LAST_RESIDUE:  # biotite would begin at 1 again
            raise RequestError(f"{out}: residue {last} does not fit a PDB file; use .cif")
        file = pdb.PDBFile()
        try:
            file.set_structure(atoms)
        except BadStructureError as error:
            raise RequestError(f"{out}: does not fit a PDB file ({error}); use .cif") from error
        chains = [line[21] for line in file.lines]
        ends = [a != b for a, b in zip(chains, [*chains[1:], ""], strict=True)]
        lines = zip(file.lines, ends, strict=True)
        file.lines = [
            *pdb_remarks([said]),
            *(x for line, end in lines for x in ([line, "TER"] if end else [line])),
            "END",
        ]
    else:
        file = pdbx.CIFFile() if out.suffix == ".cif" else pdbx.BinaryCIFFile()
        pdbx.set_structure(file, atoms)
        category = pdbx.CIFCategory if out.suffix == ".cif" else pdbx.BinaryCIFCategory
        file.block["struct"] = category({"pdbx_model_details": said})
    with atomic(out) as unfinished:
        file.write(str(unfinished))
