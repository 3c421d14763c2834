from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from biotite.structure.io import pdb, pdbx

from minifold_core.errors import MinifoldError, RequestError
from minifold_core.residues import BACKBONE_ATOMS, ONE_TO_THREE, SIDECHAIN_ATOMS
from minifold_core.structures import write_models, write_structure

SEQUENCE = "ACDEFGHIKLMNPQRSTVWYX"
INDEX = torch.tensor([*range(10), *range(14, 25)])
COORDS = 20 * torch.randn(len(SEQUENCE), 4, 3, generator=torch.Generator().manual_seed(0))
SIDECHAIN = 20 * torch.randn(len(SEQUENCE), 10, 3, generator=torch.Generator().manual_seed(1))
SUFFIXES = (".pdb", ".cif", ".bcif")


def read(path: Path):
    if path.suffix == ".pdb":
        return pdb.PDBFile.read(path).get_structure(model=1, extra_fields=["b_factor"])
    file = (pdbx.CIFFile if path.suffix == ".cif" else pdbx.BinaryCIFFile).read(path)
    return pdbx.get_structure(file, model=1, extra_fields=["b_factor"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_heavy_atoms_are_read_back(tmp_path: Path, suffix: str) -> None:
    """By biotite in each format, by gemmi in text, with the atoms that each residue has."""
    path = tmp_path / f"out{suffix}"
    write_structure(path, COORDS, SEQUENCE, INDEX, atoms=BACKBONE_ATOMS, sidechain=SIDECHAIN)
    expected = [
        (int(INDEX[row]) + 1, ONE_TO_THREE[code], name, place.tolist())
        for row, code in enumerate(SEQUENCE)
        for name, place in zip(
            (*BACKBONE_ATOMS, *SIDECHAIN_ATOMS[code]),
            (*COORDS[row], *SIDECHAIN[row]),
            strict=False,
        )
    ]
    atoms = read(path)
    found = [(int(a.res_id), str(a.res_name), str(a.atom_name), a.coord.tolist()) for a in atoms]
    assert [each[:3] for each in found[:-1]] == [each[:3] for each in expected]
    assert [each[3] for each in found[:-1]] == [
        pytest.approx(each[3], abs=6e-4) for each in expected
    ]
    assert found[-1][2] == "OXT"
    assert all(a.element == a.atom_name[0] for a in atoms)
    if suffix != ".bcif":
        (chain,) = gemmi.read_structure(str(path))[0]
        again = [(r.seqid.num, r.name, a.name, a.pos.tolist()) for r in chain for a in r]
        assert [each[:3] for each in again] == [each[:3] for each in found]
        np.testing.assert_allclose([e[3] for e in again], [e[3] for e in found], atol=6e-4)


def test_side_chains_are_checked_where_a_residue_has_them(tmp_path: Path) -> None:
    path, odd = tmp_path / "out.pdb", SIDECHAIN.clone()
    odd[5] = float("nan")  # glycine
    write_structure(path, COORDS, SEQUENCE, INDEX, atoms=BACKBONE_ATOMS, sidechain=odd)
    odd[0, 0] = float("nan")
    with pytest.raises(MinifoldError, match="of residue 1 is not finite"):
        write_structure(path, COORDS, SEQUENCE, INDEX, atoms=BACKBONE_ATOMS, sidechain=odd)
    with pytest.raises(MinifoldError, match="do not agree with 21 residues of 10 atoms"):
        write_structure(path, COORDS, SEQUENCE, INDEX, atoms=BACKBONE_ATOMS, sidechain=odd[:, :4])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_biotite_reads_a_backbone_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_structure(path, COORDS, SEQUENCE, INDEX, atoms=BACKBONE_ATOMS)
    atoms = read(path)
    assert len(atoms) == 4 * len(SEQUENCE) + 1
    assert atoms.atom_name[-1] == "OXT"
    assert (atoms.b_factor == 0).all()
    np.testing.assert_allclose(atoms.coord[:-1], COORDS.flatten(0, 1), atol=6e-4)
    ca = atoms[atoms.atom_name == "CA"]
    assert list(ca.res_name) == [ONE_TO_THREE[code] for code in SEQUENCE]
    assert list(ca.res_id) == (INDEX + 1).tolist()


@pytest.mark.parametrize("suffix", SUFFIXES[:2])
@pytest.mark.parametrize("atoms", [("CA",), BACKBONE_ATOMS])
def test_gemmi_reads_it_back(tmp_path: Path, suffix: str, atoms: tuple[str, ...]) -> None:
    path = tmp_path / f"out{suffix}"
    coords = COORDS[:, 1] if atoms == ("CA",) else COORDS
    b = torch.linspace(0, 100, len(SEQUENCE))
    write_structure(path, coords, SEQUENCE, INDEX, atoms=atoms, plddt=b, name="a (name) #1")
    structure = gemmi.read_structure(str(path))
    structure.setup_entities()
    (chain,) = structure[0]
    assert len(chain.get_polymer()) == len(SEQUENCE)
    for i, residue in enumerate(chain):
        assert residue.name == ONE_TO_THREE[SEQUENCE[i]]
        assert residue.seqid.num == INDEX[i] + 1
        last = i == len(SEQUENCE) - 1 and len(atoms) > 1
        assert [atom.name for atom in residue] == [*atoms, "OXT"][: len(atoms) + last]
        position = residue["CA"][0].pos.tolist()
        assert position == pytest.approx(COORDS[i, 1].tolist(), abs=6e-4)
        assert residue["CA"][0].b_iso == pytest.approx(float(b[i]), abs=6e-3)
        assert residue["CA"][0].occ == 1


def test_the_terminal_oxygen_completes_a_carboxylate(tmp_path: Path) -> None:
    # An ideal residue: Cα at the origin, O and OXT at 120° about C.
    xyz = torch.tensor([[[-0.525, 1.363, 0], [0, 0, 0], [1.526, 0, 0], [2.151, 1.062, 0.0]]])
    write_structure(tmp_path / "a.pdb", xyz, "A", atoms=BACKBONE_ATOMS)
    n, ca, c, o, oxt = read(tmp_path / "a.pdb").coord
    assert np.linalg.norm(oxt - c) == pytest.approx(1.25, abs=2e-3)
    assert oxt[1] == pytest.approx(-o[1], abs=0.05)
    assert np.linalg.norm(oxt - ca) > 2.3
    assert np.linalg.norm(oxt - n) > 2.3


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_models_of_one_file_are_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    models = torch.stack([COORDS[:, 1], -COORDS[:, 1], 2 * COORDS[:, 1]])
    write_models(path, models, SEQUENCE, INDEX, name="a b", remarks=["Three of them."])
    if suffix == ".pdb":
        stack = pdb.PDBFile.read(path).get_structure()
    else:
        file = (pdbx.CIFFile if suffix == ".cif" else pdbx.BinaryCIFFile).read(path)
        stack = pdbx.get_structure(file)
    np.testing.assert_allclose(stack.coord, models, atol=6e-4)
    if suffix == ".bcif":
        return  # gemmi does not read it
    read_back = gemmi.read_structure(str(path))
    assert [model.num for model in read_back] == [1, 2, 3]
    assert {len(chain) for model in read_back for chain in model} == {len(SEQUENCE)}
    assert path.read_text().upper().count("THREE OF THEM.") == 1
    models[1, 1] = float("nan")
    with pytest.raises(MinifoldError, match="coordinate nan of residue 2"):
        write_models(path, models, SEQUENCE, INDEX)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_header_says_that_it_is_a_model_without_confidence(tmp_path: Path, suffix: str) -> None:
    plain, judged = tmp_path / f"plain{suffix}", tmp_path / f"judged{suffix}"
    ca, scores = COORDS[:, 1], torch.full((len(SEQUENCE),), 70.0)
    write_structure(plain, ca, SEQUENCE, remarks=["x" * 10 + " word" * 20])
    write_structure(judged, ca, SEQUENCE, plddt=scores)
    for path, said in ((plain, True), (judged, False)):
        if suffix == ".pdb":
            lines = path.read_text().splitlines()
            assert max(map(len, lines)) <= 80
            assert "EXPDTA    THEORETICAL MODEL" in lines
            text = " ".join(line[11:] for line in lines if line.startswith("REMARK   6"))
            assert ("B-FACTORS ARE 0" in text, "WORD " * 19 in text) == (said, said)
            continue
        file = (pdbx.CIFFile if suffix == ".cif" else pdbx.BinaryCIFFile).read(path)
        assert file.block["exptl"]["method"].as_item() == "THEORETICAL MODEL"
        details = file.block["struct"]["pdbx_model_details"].as_item()
        assert ("B-factors are 0" in details, " word" * 20 in details) == (said, said)


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_viewers_find_the_confidence_of_every_residue(tmp_path: Path, suffix: str) -> None:
    path, scores = tmp_path / f"out{suffix}", torch.linspace(0, 100, len(SEQUENCE))
    write_structure(path, COORDS, SEQUENCE, INDEX + 7, atoms=BACKBONE_ATOMS, plddt=scores)
    file = (pdbx.CIFFile if suffix == ".cif" else pdbx.BinaryCIFFile).read(path)
    kinds, whole, local = (file.block[f"ma_qa_metric{kind}"] for kind in ("", "_global", "_local"))
    assert set(kinds["type"].as_array()) == {"pLDDT"}
    assert dict(zip(kinds["mode"].as_array(), kinds["id"].as_array(int), strict=True)) == {
        "global": whole["metric_id"].as_array(int)[0],
        "local": local["metric_id"].as_array(int)[0],
    }
    assert float(whole["metric_value"].as_item()) == pytest.approx(50)
    atoms = pdbx.get_structure(file, model=1, use_author_fields=False, extra_fields=["b_factor"])
    ca = atoms[atoms.atom_name == "CA"]
    columns = [local[f"label_{what}_id"].as_array() for what in ("asym", "seq", "comp")]
    assert [list(map(str, row)) for row in zip(*columns, strict=True)] == [
        [str(a.chain_id), str(a.res_id), str(a.res_name)] for a in ca
    ]
    np.testing.assert_allclose(local["metric_value"].as_array(float), ca.b_factor, atol=6e-3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["backbone", "trajectory"])
def test_other_programs_see_the_sequence(tmp_path: Path, suffix: str, kind: str) -> None:
    # Residues 8-17 and 22-32: what lies between is part of the chain, and unknown.
    path, numbers = tmp_path / f"out{suffix}", INDEX + 7
    if kind == "backbone":
        write_structure(path, COORDS, SEQUENCE, numbers, atoms=BACKBONE_ATOMS)
    else:
        write_models(path, COORDS[:, 1].expand(3, -1, -1), SEQUENCE, numbers)
    whole = "ACDEFGHIKLXXXXMNPQRSTVWYX"
    if suffix != ".pdb":
        file = (pdbx.CIFFile if suffix == ".cif" else pdbx.BinaryCIFFile).read(path)
        assert {chain: str(seq) for chain, seq in pdbx.get_sequence(file).items()} == {"A": whole}
        labels = pdbx.get_structure(file, model=1, use_author_fields=False).res_id
        assert sorted(set(labels)) == (INDEX + 1).tolist()
    if suffix != ".bcif":  # gemmi does not read it
        structure = gemmi.read_structure(str(path))
        structure.setup_entities()
        (entity,) = structure.entities
        assert entity.polymer_type == gemmi.PolymerType.PeptideL
        assert gemmi.one_letter_code(entity.full_sequence) == whole
        for model in structure:
            (chain,) = model
            fit = gemmi.align_sequence_to_polymer(
                entity.full_sequence, chain.get_polymer(), entity.polymer_type
            )
            assert fit.match_count == len(SEQUENCE)
        assert structure[0][0][-1].seqid.num == 32


@pytest.mark.parametrize("length", [300, 3])
def test_a_chain_without_a_sequence_is_one_of_unknown_residues(tmp_path: Path, length: int) -> None:
    for suffix in (".cif", ".pdb"):
        write_structure(tmp_path / f"a{suffix}", torch.randn(length, 3), "X" * length)
        structure = gemmi.read_structure(str(tmp_path / f"a{suffix}"))
        structure.setup_entities()
        assert structure.entities[0].full_sequence == ["UNK"] * length
    file = pdbx.CIFFile.read(tmp_path / "a.cif")
    assert str(pdbx.get_sequence(file)["A"]) == "X" * length
    assert max(map(len, (tmp_path / "a.cif").read_text().splitlines())) < 132


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_named(tmp_path: Path, suffix: str, wrong: float) -> None:
    coords = COORDS[:, 1].clone()
    coords[4, 2] = wrong
    with pytest.raises(MinifoldError, match=r"coordinate (nan|inf) of residue 5 is not finite"):
        write_structure(tmp_path / f"out{suffix}", coords, SEQUENCE)
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_the_columns_of_pdb_fits_mmcif(tmp_path: Path) -> None:
    far = COORDS[:, 1] + torch.tensor([12_000.0, 0, 0])
    with pytest.raises(MinifoldError, match=r"of residue 1 does not fit a PDB file; use \.cif"):
        write_structure(tmp_path / "far.pdb", far, SEQUENCE)
    with pytest.raises(MinifoldError, match="residue 10025 does not fit a PDB file"):
        write_structure(tmp_path / "far.pdb", COORDS[:, 1], SEQUENCE, INDEX + 10_000)
    write_structure(tmp_path / "far.cif", far, SEQUENCE, INDEX + 10_000)
    np.testing.assert_allclose(read(tmp_path / "far.cif").coord, far, atol=2e-3)


def test_what_disagrees_is_refused(tmp_path: Path) -> None:
    path, ca = tmp_path / "out.pdb", COORDS[:, 1]
    with pytest.raises(MinifoldError, match=r"20 residues of 1 atoms .* \(21, 1, 3\)"):
        write_structure(path, ca, SEQUENCE[:-1])
    with pytest.raises(MinifoldError, match="do not increase"):
        write_structure(path, ca, SEQUENCE, INDEX.flip(0))
    with pytest.raises(MinifoldError, match=r"pLDDT 100\.5 of residue 1 is not between 0"):
        write_structure(path, ca, SEQUENCE, plddt=torch.full((21,), 100.5))
    with pytest.raises(RequestError, match=r"did you mean '\.pdb'"):
        write_structure(tmp_path / "out.pdbx", ca, SEQUENCE)
    (tmp_path / "folder.pdb").mkdir()
    with pytest.raises(MinifoldError, match="cannot be written"):
        write_structure(tmp_path / "folder.pdb", ca, SEQUENCE)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "out.cif"
    write_structure(path, COORDS[:, 1], SEQUENCE)
    before = path.read_bytes()

    def full(self, target) -> None:
        Path(target).write_text("half a fi")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pdbx.CIFFile, "write", full)
    with pytest.raises(MinifoldError, match="No space left"):
        write_structure(path, 0 * COORDS[:, 1], SEQUENCE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_tensors_with_gradient_and_arrays_are_taken(tmp_path: Path) -> None:
    write_structure(tmp_path / "a.pdb", COORDS[:, 1].clone().requires_grad_(), SEQUENCE)
    write_structure(tmp_path / "b.pdb", COORDS[:, 1].numpy(), SEQUENCE.lower())
    assert (tmp_path / "a.pdb").read_text() == (tmp_path / "b.pdb").read_text()
