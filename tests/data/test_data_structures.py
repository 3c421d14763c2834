"""Every rule of reading, on structures small enough to check by eye."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_structures import Atom, assert_same_chain, make_chain, make_residue, pdb_text

from minifold_core.data.records import Chain
from minifold_core.data.structures import read_structure
from minifold_core.errors import RequestError
from minifold_core.residues import SIDECHAIN_ATOMS

Read = Callable[..., list[Chain]]


def test_an_unbroken_chain(read_atoms: Read) -> None:
    (chain,) = read_atoms(make_chain(5))
    assert (chain.name, chain.sequence, chain.provenance) == ("1abc.A", "AAAAA", "1abc.pdb")
    assert chain.residue_index.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(chain.ca[:, 0], 3.8 * np.arange(5), atol=1e-3)
    assert chain.backbone_mask.all()
    assert chain.sidechain_mask is not None
    assert chain.sidechain_mask.sum(1).tolist() == [1] * 5


def test_the_first_model_of_an_ensemble(read_atoms: Read) -> None:
    moved = [replace(a, xyz=(a.xyz[0], 9.0, 9.0)) for a in make_chain(4)]
    (chain,) = read_atoms(make_chain(4), moved)
    assert len(chain) == 4
    assert chain.ca[:, 1].max() == 0


def test_the_altloc_of_highest_occupancy(read_atoms: Read) -> None:
    atoms = make_chain(2)
    for altloc, occupancy, y in (("A", 0.3, 5.0), ("B", 0.7, 1.0)):
        place = make_residue("ALA", 3, 2, altloc=altloc, occupancy=occupancy)
        atoms += [replace(a, xyz=(a.xyz[0], a.xyz[1] + y, a.xyz[2])) for a in place]
    (chain,) = read_atoms(atoms)
    assert chain.sequence == "AAA"
    assert chain.ca[2, 1] == pytest.approx(1.0)


def test_a_partly_disordered_residue_keeps_its_common_atoms(read_atoms: Read) -> None:
    atoms = make_residue("SER", 1, 0)
    atoms += [
        Atom("OG", "SER", 1, (0, 1, 2), altloc="A", occupancy=0.4),
        Atom("OG", "SER", 1, (0, 2, 2), altloc="B", occupancy=0.6),
    ]
    (chain,) = read_atoms(atoms)
    assert chain.sidechain is not None
    assert chain.backbone_mask.all()
    assert chain.sidechain[0, 1].tolist() == [0, 2, 2]


def test_two_amino_acids_at_one_place_are_one_residue(read_atoms: Read) -> None:
    atoms = make_residue("SER", 1, 0, altloc="A", occupancy=0.4)
    atoms += make_residue("THR", 1, 0, altloc="B", occupancy=0.6)
    (chain,) = read_atoms([*atoms, *make_residue("ALA", 2, 1)])
    assert chain.sequence == "TA"


def test_an_atom_given_twice_is_taken_once(read_atoms: Read) -> None:
    atoms = [*make_residue("GLY", 1, 0), Atom("N", "GLY", 1, (9, 9, 9), occupancy=0.5)]
    (chain,) = read_atoms(atoms)
    assert chain.backbone[0, 0].tolist() == pytest.approx([-1.2, 0, 0])


def test_insertion_codes_are_residues_of_their_own(read_atoms: Read) -> None:
    codes = [(1, " "), (1, "A"), (1, "B"), (2, " ")]
    atoms = [a for i, (n, code) in enumerate(codes) for a in make_residue("GLY", n, i, icode=code)]
    (chain,) = read_atoms(atoms)
    assert chain.residue_index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("numbers", "places", "index"),
    [
        ((1, 2, 6, 7), (0, 1, 5, 6), [0, 1, 5, 6]),  # four are missing
        ((1, 2, 3, 4), (0, 1, 9, 10), [0, 1, 3, 4]),  # broken, whatever the numbers say
        ((1, 2, 90, 91), (0, 1, 2, 3), [0, 1, 2, 3]),  # bonded, whatever the numbers say
        ((7, 8, 2, 3), (0, 1, 9, 10), [0, 1, 3, 4]),  # numbers that run backwards
    ],
)
def test_breaks(read_atoms: Read, numbers: list[int], places: list[int], index: list[int]) -> None:
    pairs = zip(numbers, places, strict=True)
    (chain,) = read_atoms([a for n, p in pairs for a in make_residue("GLY", n, p)])
    assert chain.residue_index.tolist() == index


def test_breaks_of_a_ca_trace(read_atoms: Read) -> None:
    places = (0, 1, 4, 5)
    (chain,) = read_atoms([a for p in places for a in make_residue("GLY", p + 1, p, ("CA",))])
    assert chain.residue_index.tolist() == [0, 1, 4, 5]
    assert chain.backbone_mask.sum(0).tolist() == [0, 4, 0, 0]
    assert chain.sidechain is None


def test_selenomethionine_is_methionine(read_atoms: Read) -> None:
    mse = [*make_residue("MSE", 2, 1, hetero=True), Atom("SE", "MSE", 2, (1, 2, 3), hetero=True)]
    (chain,) = read_atoms([*make_residue("ALA", 1, 0), *mse])
    assert chain.sequence == "AM"
    assert chain.sidechain is not None
    assert chain.sidechain[1, SIDECHAIN_ATOMS["M"].index("SD")].tolist() == [1, 2, 3]


def test_a_modified_residue_within_the_chain_is_x(read_atoms: Read) -> None:
    middle = make_residue("SEP", 2, 1, hetero=True)
    (chain,) = read_atoms([*make_residue("ALA", 1, 0), *middle, *make_residue("ALA", 3, 2)])
    assert chain.sequence == "AXA"
    assert chain.backbone_mask.all()


def test_what_is_not_protein_is_skipped(read_atoms: Read) -> None:
    others = [
        Atom("P", "DA", 1, (50, 0, 0), chain="B"),
        Atom("C1'", "DA", 1, (51, 0, 0), chain="B"),
        Atom("O", "HOH", 90, (60, 0, 0), hetero=True),
        Atom("CA", "CA", 91, (70, 0, 0), hetero=True),
        *make_residue("GLU", 92, 30, hetero=True),  # a free amino acid bound as a ligand
    ]
    (chain,) = read_atoms([*make_chain(3), *others])
    assert chain.sequence == "AAA"


def test_missing_atoms_are_masked(read_atoms: Read) -> None:
    atoms = [
        *make_residue("ALA", 1, 0),
        *make_residue("ALA", 2, 1, ("N", "CB")),
        *make_residue("ALA", 3, 2, ("CA", "C")),
    ]
    (chain,) = read_atoms(atoms)
    expected = [[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 1, 0]]
    assert chain.backbone_mask.astype(int).tolist() == expected
    assert not chain.backbone[~chain.backbone_mask].any()
    assert chain.residue_index.tolist() == [0, 1, 2]


def test_ends_without_a_ca_are_trimmed(read_atoms: Read) -> None:
    ends = make_residue("TRP", 1, 0, ("N",)), make_residue("TRP", 4, 3, ("N",))
    middle = [*make_residue("GLY", 2, 1), *make_residue("GLY", 3, 2)]
    (chain,) = read_atoms([*ends[0], *middle, *ends[1]])
    assert chain.sequence == "WGGW"
    assert chain.trimmed().sequence == "GG"
    assert chain.trimmed().residue_index.tolist() == [0, 1]


def test_chains_in_the_order_of_the_file(read_atoms: Read) -> None:
    chains = read_atoms([*make_chain(3, "B"), *make_chain(2, " "), *make_chain(4, "A")])
    assert [c.name for c in chains] == ["1abc.B", "1abc._", "1abc.A"]


@pytest.mark.parametrize(("file", "name"), [("2xyz.pdb", "2xyz.A"), ("2xyz.A.pdb", "2xyz.A")])
def test_a_chain_id_is_not_repeated(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_text(pdb_text(make_chain(2)))
    assert read_structure(tmp_path / file)[0].name == name


@pytest.mark.parametrize("suffix", [".cif", ".mmcif", ".bcif", ".ent"])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_format_gives_the_same_chain(tmp_path: Path, suffix: str, zipped: bool) -> None:
    import biotite.structure.io.pdbx as pdbx
    from biotite.structure.io.pdb import PDBFile

    source = tmp_path / "1abc.pdb"
    source.write_text(pdb_text(make_chain(12)))
    path = tmp_path / f"1abc{suffix}"
    if suffix == ".ent":
        path.write_text(source.read_text())
    else:
        file = pdbx.BinaryCIFFile() if suffix == ".bcif" else pdbx.CIFFile()
        pdbx.set_structure(file, PDBFile.read(source).get_structure(model=1))
        file.write(path)
    if zipped:
        content = gzip.compress(path.read_bytes())
        path = path.with_name(f"{path.name}.gz")
        path.write_bytes(content)
    (one,), (other,) = read_structure(source), read_structure(path)
    assert_same_chain(replace(one, provenance=""), replace(other, provenance=""))


CIF_COLUMNS = (
    "group_PDB type_symbol label_atom_id label_comp_id label_asym_id label_seq_id "
    "auth_asym_id auth_seq_id Cartn_x Cartn_y Cartn_z"
)


def cif_text(rows: list[str]) -> str:
    columns = "\n".join(f"_atom_site.{c}" for c in CIF_COLUMNS.split())
    return "\n".join(["data_x", "loop_", columns, *rows, "#", ""])


def test_mmcif_names_by_author_and_counts_by_sequence(tmp_path: Path) -> None:
    """Optional columns (altloc, insertion code, occupancy, model) may be absent."""
    places = ((1, 40, 0), (2, 41, 1), (7, 42, 9))  # label_seq_id, auth_seq_id, place
    rows = [f"ATOM C CA GLY A {label} H {author} {3.8 * at} 0 0" for label, author, at in places]
    rows.append("HETATM C CA GLY B . H 301 90 0 0")
    path = tmp_path / "1abc.cif"
    path.write_text(cif_text(rows))
    (chain,) = read_structure(path)
    assert chain.name == "1abc.H"
    assert chain.residue_index.tolist() == [0, 1, 6]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.pdb", b""),
        ("a.pdb", b"ATOM      1  CA  ALA A   1      xx.xxx   0.000   0.000"),
        ("a.cif", b""),
        ("a.cif", b"data_x\n_entry.id x\n"),
        ("a.cif", cif_text(["ATOM C CA GLY A 1 H 1 0.0 0.0 0.0", "ATOM C CA"]).encode()),
        ("a.bcif", b"\x93junk"),
        ("a.cif.gz", b"not gzip"),
        ("a.bcif.gz", gzip.compress(b"half of this is missing" * 99, mtime=0)[:40]),
        ("a.mmtf", b"\x80"),
        ("a.txt", b"MVLS"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, file: str, content: bytes
) -> None:
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(RequestError, match=file) as refusal:
        read_structure(path)
    assert "\n" not in str(refusal.value)


def test_mmtf_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="MMTF is retired"):
        read_structure(tmp_path / "4cup.mmtf.gz")
