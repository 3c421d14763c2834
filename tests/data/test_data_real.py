"""Real files as they are met: what the index of the collection knows of each, and gemmi's view."""

from __future__ import annotations

import csv
from pathlib import Path

import gemmi
import numpy as np
import pytest

from minifold_core.data import Chain, PackedDataset, Rejection, pack
from minifold_core.data.files import format_of
from minifold_core.data.limits import Limits
from minifold_core.data.reading import read_files

UNREADABLE = {"header.pdb", "d256ba_.ent", "1AKE_err_a.pdb", "1AKE_err_b.pdb", "4Q9R_min.cif"}
NO_PROTEIN = {"1bna.pdb", "nucleic.pdb", "ions.pdb", "models.pdb"}
LENGTHS = {
    "1A8O.pdb": {"A": 70},
    "1A8O.cif": {"A": 70},
    "1LCD.pdb": {"A": 51},
    "1SSU.pdb": {"A": 51},
    "1aki.cif": {"A": 129},
    "1aki.bcif": {"A": 129},
    "1BC8.pdb": {"C": 93},
    "1EN2.pdb": {"A": 86},
    "1ubq.cif": {"A": 76},
    "1ubq.pdb": {"A": 76},
    "5pti.bcif": {"A": 58},
    "5pti_old.pdb": {"A": 58},
    "1lzh.pdb.gz": {"A": 129, "B": 129},
    "pdb1gdr.ent": {"_": 105},
    "1igy.bcif": {"A": 213, "B": 434, "C": 213, "D": 434},
    "3jqh.bcif.gz": {"A": 23},
    "5ugo.bcif": {"A": 326},
}
EVERYTHING = Limits(1, 10_000)


@pytest.fixture
def messy(shared: Path) -> Path:
    return shared / "data" / "messy"


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if format_of(path))


def test_every_file_ends_in_chains_or_in_a_reason(messy: Path) -> None:
    with (messy / "index.tsv").open() as table:
        listed = {row["file"] for row in csv.DictReader(table, delimiter="\t")}
    assert listed == {path.name for path in files(messy)}
    for path in files(messy):
        read = read_files([path], EVERYTHING)
        reasons = {item.reason for item in read if isinstance(item, Rejection)}
        if ".mmtf" in path.name:
            assert reasons == {"unsupported_format"}, path.name
        elif path.name in UNREADABLE:
            assert reasons == {"unreadable"}, path.name
        elif path.name in NO_PROTEIN:
            assert reasons == {"no_protein"}, path.name
        else:
            assert not reasons, path.name
            assert read, path.name
        if path.name in LENGTHS:
            lengths = {c.name.rpartition(".")[2]: len(c) for c in read if isinstance(c, Chain)}
            assert lengths == LENGTHS[path.name]


def test_known_gaps_become_breaks(messy: Path) -> None:
    """1gdr misses residues 12-14 and 38-44."""
    (chain,) = read_files([messy / "pdb1gdr.ent"], EVERYTHING)
    assert isinstance(chain, Chain)
    steps = np.diff(chain.residue_index)
    assert steps[steps > 1].tolist() == [4, 8]


def test_one_entry_in_two_formats(messy: Path) -> None:
    for pair in (("1A8O.pdb", "1A8O.cif"), ("1aki.cif", "1aki.bcif")):
        (one,), (other,) = (read_files([messy / name], EVERYTHING) for name in pair)
        assert isinstance(one, Chain)
        assert isinstance(other, Chain)
        assert one.sequence == other.sequence
        np.testing.assert_allclose(one.backbone, other.backbone, atol=1e-3)
        np.testing.assert_array_equal(one.sidechain_mask, other.sidechain_mask)


def test_mixed_residues_take_the_likelier_amino_acid(messy: Path) -> None:
    """1en2 has Gly 0.67/Ser 0.33 at 10, Gly 0.44/Ser 0.56 at 80."""
    (chain,) = read_files([messy / "1EN2.pdb"], EVERYTHING)
    assert isinstance(chain, Chain)
    assert (chain.sequence[9], chain.sequence[79]) == ("G", "S")


def gemmi_chain(path: Path, chain_id: str) -> tuple[str, np.ndarray]:
    """Sequence and Cα of a chain as gemmi reads it: first model, best conformer, polymer only."""
    if format_of(path) == "pdb":  # old files have their entry id where the charge now stands
        structure = gemmi.read_pdb(str(path), max_line_length=72)
    else:
        structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    letters, ca = "", []
    for residue in structure[0][chain_id].get_polymer().first_conformer():
        atoms = [a for a in structure[0][chain_id] if a.seqid == residue.seqid]
        copies = [
            a for group in atoms if group.name == residue.name for a in group if a.name == "CA"
        ]
        info = gemmi.find_tabulated_residue(residue.name)
        standard = info.is_standard() or residue.name == "MSE"
        letters += info.one_letter_code.upper() if standard else "X"
        best = max(copies, key=lambda a: a.occ)
        ca.append(best.pos.tolist())
    return letters, np.array(ca, np.float32)


@pytest.mark.parametrize(
    "name", ["1A8O.cif", "1A8O.pdb", "1LCD.pdb", "1BC8.pdb", "1ubq.cif", "1o1z.pdb"]
)
def test_gemmi_reads_the_same(messy: Path, name: str) -> None:
    for chain in read_files([messy / name], EVERYTHING):
        assert isinstance(chain, Chain)
        sequence, ca = gemmi_chain(messy / name, chain.name.rpartition(".")[2])
        assert chain.sequence == sequence
        np.testing.assert_allclose(chain.ca, ca, atol=1e-3)


def test_gemmi_reads_the_demo_structures_the_same(shared: Path) -> None:
    compared = 0
    for path in files(shared / "demo-structures"):
        for chain in read_files([path], Limits(30, 125)):
            if isinstance(chain, Chain):
                chain_id = chain.name.rpartition(".")[2]
                sequence, ca = gemmi_chain(path, "" if chain_id == "_" else chain_id)
                assert chain.sequence == sequence, chain.name
                np.testing.assert_allclose(chain.ca, ca, atol=1e-3, err_msg=chain.name)
                compared += 1
    assert compared > 20


@pytest.mark.slow
def test_the_real_set_packs_whole(shared: Path, tmp_path: Path) -> None:
    report = pack([shared / "data" / "structures"], tmp_path / "all.safetensors")
    assert report.splits == {"train": 753, "validation": 71, "test": 36}
    assert not report.rejected
    dataset = PackedDataset.open(report.path)
    assert sum(chain.sidechain is not None for chain in dataset) == 860


@pytest.mark.slow
def test_the_chain_set_packs_as_its_readme_counts(shared: Path, tmp_path: Path) -> None:
    report = pack([shared / "data" / "chain_set.jsonl.gz"], tmp_path / "cath.safetensors")
    assert report.splits == {"train": 2127, "validation": 240, "test": 120}
    assert report.reasons == {"too_long": 1800}
