"""What packing makes of files as they come: modified residues, ligands, models, conformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from biotite.structure import Atom, AtomArray, array, get_residue_count
from biotite.structure.io import load_structure, save_structure
from biotite.structure.io.pdb import PDBFile

from minifold_core.data.dataset import open_dataset
from minifold_core.errors import RequestError
from minifold_core.residues import BACKBONE_ATOMS
from minifold_core.structures import write_structure
from minifold_sidechain.backbones import read_backbone
from minifold_sidechain.pack import pack_file

MESSY = Path(__file__).parents[4] / "shared" / "data" / "messy"
FREE = ("SEP", 901)


@pytest.fixture
def chain(tmp_path: Path) -> AtomArray:
    """A full-atom chain as a plain PDB file gives it."""
    one = min(open_dataset(), key=len)
    write_structure(
        tmp_path / "chain.pdb", one.backbone, one.sequence,
        atoms=BACKBONE_ATOMS, sidechain=one.sidechain,
    )  # fmt: skip
    return load_structure(tmp_path / "chain.pdb")


def pack(file: Path, out: Path) -> str:
    return pack_file(file, out, None, torch.device("cpu"))


def modified(chain: AtomArray) -> AtomArray:
    """Phosphoserine third in the chain, the fourth without its C, and a phosphoserine, a sugar and
    a water beside it."""
    atoms = chain.copy()
    third = atoms.res_id == 3
    atoms.res_name[third], atoms.hetero[third] = "SEP", True
    atoms = atoms[~((atoms.res_id == 4) & (atoms.atom_name == "C"))]
    at = int(np.flatnonzero(atoms.res_id == 3)[-1]) + 1
    like = {"chain_id": "A", "hetero": True}
    phosphorus = Atom(
        atoms.coord[at - 1] + 1.5, res_id=3, res_name="SEP", atom_name="P", element="P", **like
    )
    beside = [
        Atom(
            atoms.coord[0] + 60 + i, res_id=number, res_name=name, atom_name=x, element=x[0], **like
        )
        for name, number in (FREE, ("NAG", 902), ("HOH", 903))
        for i, x in enumerate(("N", "CA", "C", "O") if name == "SEP" else ("O",))
    ]
    return atoms[:at] + array([phosphorus]) + atoms[at:] + array(beside)


@pytest.mark.parametrize("suffix", ["pdb", "cif"])
def test_what_cannot_be_packed_stays_and_is_named(
    chain: AtomArray, tmp_path: Path, suffix: str
) -> None:
    given = modified(chain)
    file, out = tmp_path / f"given.{suffix}", tmp_path / f"out.{suffix}"
    if suffix == "cif":  # biotite calls its residue number the place in the sequence
        given = given[~((given.res_name == FREE[0]) & (given.res_id == FREE[1]))]
    save_structure(file, given)
    fourth = str(chain.res_name[chain.res_id == 4][0])
    said, read = pack(file, out), load_structure(out)
    assert said.endswith(f"; 2 residues kept as they are: SEP A3, {fourth} A4")
    assert said.startswith(f"{get_residue_count(chain) - 2} residues packed")
    assert dict.fromkeys(read.res_id.tolist()) == dict.fromkeys(chain.res_id.tolist())
    for number in (3, 4):
        before, after = (x[x.res_id == number] for x in (given, read))
        assert after.atom_name.tolist() == before.atom_name.tolist()
        assert after.res_name.tolist() == before.res_name.tolist()
        assert after.hetero.tolist() == before.hetero.tolist()
        assert np.allclose(after.coord, before.coord, atol=1e-3)


def test_of_conformers_the_likelier_and_of_models_the_first(
    chain: AtomArray, tmp_path: Path
) -> None:
    both = chain[chain.res_id <= 6]
    other = both.copy()
    other.coord += 1
    records = []
    for letter, share, atoms in (("A", "0.30", both), ("B", "0.70", other)):
        file = PDBFile()
        file.set_structure(atoms)
        records += [f"{x[:16]}{letter}{x[17:56]}{share}{x[60:]}" for x in file.lines]
    records.sort(key=lambda x: int(x[22:26]))
    models = [x for number in (1, 2) for x in (f"MODEL     {number:4}", *records, "ENDMDL")]
    (tmp_path / "two.pdb").write_text("\n".join(models) + "\n")
    found = read_backbone(tmp_path / "two.pdb")
    assert found.models == 2
    assert np.allclose(found.xyz[0, 0], other.coord[0], atol=1e-3)
    assert pack(tmp_path / "two.pdb", tmp_path / "out.pdb").endswith("; the first of 2 models")


def test_one_is_singular(chain: AtomArray, tmp_path: Path) -> None:
    two = chain[chain.res_id <= 2]
    two.res_name[two.res_id == 2] = "HIE"  # Amber's histidine is no entry of the dictionary
    save_structure(tmp_path / "two.pdb", two)
    said = pack(tmp_path / "two.pdb", tmp_path / "out.pdb")
    assert said.startswith("1 residue packed by")
    assert said.endswith("; 1 residue kept as it is: HIE A2")


@pytest.mark.parametrize("fault", ["chain", "number"])
def test_what_a_pdb_file_cannot_hold_is_refused(
    chain: AtomArray, tmp_path: Path, fault: str
) -> None:
    if fault == "chain":
        chain.chain_id = np.full(len(chain), "LONG")
    else:
        chain.res_id += 9990
    save_structure(tmp_path / "long.cif", chain)
    with pytest.raises(RequestError, match=r"does not fit a PDB file.*use \.cif"):
        pack(tmp_path / "long.cif", tmp_path / "out.pdb")
    assert not (tmp_path / "out.pdb").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("HEADER    HYDROLASE\n", r"no atoms \(no ATOM"),
        (f"HEADER\n{'ATOM      1  CA  ALA A   1':30}   1.000   2.0\n", r"broken .*\(line 2: "),
        (
            f"{'HETATM    1  O   HOH A   1':30}   1.000   2.000   3.000  1.00  0.00\n",
            "none of the twenty",
        ),
    ],
)
def test_a_file_without_protein_is_refused_for_what_it_is(
    tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "a.pdb").write_text(text)
    with pytest.raises(RequestError, match=words) as refusal:
        read_backbone(tmp_path / "a.pdb")
    assert "\n" not in str(refusal.value)


def test_a_trace_is_told_how_to_get_a_backbone(chain: AtomArray, tmp_path: Path) -> None:
    save_structure(tmp_path / "ca.pdb", chain[chain.atom_name == "CA"])
    with pytest.raises(RequestError, match=r"only CA .*sample --rebuild"):
        pack(tmp_path / "ca.pdb", tmp_path / "out.pdb")


@pytest.mark.skipif(not MESSY.is_dir(), reason="needs the collection of real files")
@pytest.mark.parametrize(
    ("file", "residues", "kept"),
    [
        ("1EN2.pdb", 86, ["PCA A1"]),
        ("a_structure.pdb", 97, ["PCA A1", "CYS A0", "SEP B45"]),  # its PCA is not beside its ARG
        ("1A8O.pdb", 70, []),  # selenomethionine
        ("1LCD.pdb", 51, []),  # a repressor on DNA
    ],
)
def test_real_files_keep_all_their_residues(file: str, residues: int, kept: list[str]) -> None:
    found = read_backbone(MESSY / file)
    assert len(found.letters) == residues
    assert found.unpacked == kept
