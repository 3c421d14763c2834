import math

import biotite.structure as struc
import numpy as np
import pytest
import torch
from torch import Tensor

from backbone_reference import backbone as from_torsions
from minifold_core.data.dataset import open_dataset
from minifold_core.errors import MinifoldError
from minifold_core.geometry.peptide_angles import TABLE_PATH, regressions
from minifold_core.geometry.rebuild import rebuild_backbone

CHAINS = [chain for chain in open_dataset() if chain.backbone_mask.all()]


def rebuilt(ca: Tensor, sequence: str | None = None, index: Tensor | None = None) -> Tensor:
    index = torch.arange(len(ca)) if index is None else index
    return rebuild_backbone(ca, sequence or "A" * len(ca), index)


def native(chain) -> tuple[Tensor, str, Tensor]:
    return torch.from_numpy(chain.backbone), chain.sequence, torch.from_numpy(chain.residue_index)


def rmsd(x: Tensor, y: Tensor) -> float:
    return (x - y).square().sum(-1).mean().sqrt().item()


def degrees(*points: Tensor) -> np.ndarray:
    measure = struc.angle if len(points) == 3 else struc.dihedral
    return np.degrees(measure(*(p.numpy() for p in points)))


def internal_geometry(x: Tensor, bonded: Tensor) -> dict[str, np.ndarray]:
    """Lengths in ångström and angles in degrees, as biotite measures them."""
    n, ca, c, o = x.double().unbind(1)
    a, b = torch.nonzero(bonded)[:, 0], torch.nonzero(bonded)[:, 0] + 1
    return {
        "N-CA": (n - ca).norm(dim=-1).numpy(),
        "CA-C": (ca - c).norm(dim=-1).numpy(),
        "C-O": (c - o).norm(dim=-1).numpy(),
        "C-N": (c[a] - n[b]).norm(dim=-1).numpy(),
        "N-CA-C": degrees(n, ca, c),
        "CA-C-N": degrees(ca[a], c[a], n[b]),
        "C-N-CA": degrees(c[a], n[b], ca[b]),
        "omega": degrees(ca[a], c[a], n[b], ca[b]),
        "O to N": degrees(o[a], c[a], ca[a], n[b]),
    }


def assert_bonds_inside_residues(x: Tensor) -> None:
    assert x.isfinite().all()
    measured = internal_geometry(x, torch.zeros(len(x) - 1, dtype=torch.bool))
    for bond, length in {"N-CA": 1.458, "CA-C": 1.523, "C-O": 1.231}.items():
        np.testing.assert_allclose(measured[bond], length, atol=0.002)


def test_native_backbones_are_found_again() -> None:
    errors, flipped = [], []
    for chain in CHAINS:
        x, sequence, index = native(chain)
        y = rebuilt(x[:, 1], sequence, index)
        assert torch.equal(y[:, 1], x[:, 1])
        errors.append(rmsd(x, y))
        bonded = index.diff() == 1
        turn = degrees(*(x[:-1, 3], x[:-1, 1], x[1:, 1], y[:-1, 3]))
        flipped.append(np.abs(turn[bonded.numpy()]) > 90)
    assert np.median(errors) < 0.38
    assert np.concatenate(flipped).mean() < 0.025


def test_peptides_between_natural_ca_are_planar_and_ideal() -> None:
    measured = []
    for chain in CHAINS:
        x, sequence, index = native(chain)
        y = rebuilt(x[:, 1], sequence, index)
        assert_bonds_inside_residues(y)
        apart = x[:, 1].diff(dim=0).norm(dim=-1)
        measured.append(internal_geometry(y, (index.diff() == 1) & (apart > 3.75) & (apart < 3.85)))
    values = {key: np.concatenate([m[key] for m in measured]) for key in measured[0]}
    assert len(values["C-N"]) > 1000
    np.testing.assert_allclose(values["C-N"], 1.33, atol=0.005)
    np.testing.assert_allclose(values["CA-C-N"], 117, atol=5)
    np.testing.assert_allclose(values["C-N-CA"], 122, atol=5)
    np.testing.assert_allclose(np.abs(values["omega"]), 180, atol=0.1)
    np.testing.assert_allclose(np.abs(values["O to N"]), 180, atol=0.1)
    assert (np.abs(values["N-CA-C"] - 111) > 10).mean() < 0.05


@pytest.mark.parametrize(("phi", "psi"), [(-62, -43), (-120, 130), (-70, 150)])
def test_ideal_secondary_structures(phi: float, psi: float) -> None:
    torsions = [np.full(20, math.radians(angle)) for angle in (phi, psi, 180)]
    x = torch.from_numpy(from_torsions(*torsions))
    assert rmsd(rebuilt(x[:, 1])[2:-2], x[2:-2]) < 0.12


def test_a_short_distance_before_proline_is_a_cis_peptide() -> None:
    phi, psi, omega = (np.full(12, math.radians(angle)) for angle in (-75, 150, 180))
    omega[5] = 0.0
    x = torch.from_numpy(from_torsions(phi, psi, omega))
    y = rebuilt(x[:, 1], "AAAAAAPAAAAA")
    measured = internal_geometry(y, torch.ones(11, dtype=torch.bool))
    assert abs(measured["omega"][5]) < 0.1
    np.testing.assert_allclose(np.abs(np.delete(measured["omega"], 5)), 180, atol=0.1)
    np.testing.assert_allclose(measured["C-N"], 1.33, atol=0.005)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.float64, 1e-9)])
def test_moves_with_the_trace(dtype: torch.dtype, tolerance: float) -> None:
    x, sequence, index = native(CHAINS[3])
    ca = x[:, 1].to(dtype)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.manual_seed(0), dtype=dtype)).Q
    turn = turn * torch.linalg.det(turn)
    shift = torch.tensor([10.0, -20.0, 5.0], dtype=dtype)
    moved = rebuilt(ca @ turn.T + shift, sequence, index)
    assert moved.dtype == dtype
    assert (moved - (rebuilt(ca, sequence, index) @ turn.T + shift)).abs().max() < tolerance


def test_a_mirrored_trace_has_no_mirrored_backbone() -> None:
    mirror = torch.tensor([1.0, 1.0, -1.0])
    for chain in CHAINS:
        x, sequence, index = native(chain)
        true = rebuilt(x[:, 1], sequence, index)
        assert rmsd(rebuilt(x[:, 1] * mirror, sequence, index) * mirror, true) > 0.6


def test_a_break_makes_two_chains_of_one() -> None:
    x, sequence, index = native(CHAINS[3])
    ca, cut = x[:, 1].double(), 20
    broken = torch.where(torch.arange(len(index)) < cut, index, index + 7)
    parts = [rebuilt(ca[s], sequence[s], index[s]) for s in (slice(cut), slice(cut, None))]
    assert torch.allclose(rebuilt(ca, sequence, broken), torch.cat(parts))
    assert_bonds_inside_residues(rebuilt(ca, sequence, broken))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_short_chains_and_ends_are_whole_residues(length: int) -> None:
    ca = native(CHAINS[3])[0][:length, 1]
    y = rebuilt(ca)
    assert y.shape == (length, 4, 3)
    assert_bonds_inside_residues(y)
    bonded = torch.ones(length - 1, dtype=torch.bool)
    measured = internal_geometry(y, bonded)
    np.testing.assert_allclose(measured["N-CA-C"][[0, -1]], 111, atol=0.1)
    np.testing.assert_allclose(measured["C-N"], 1.33, atol=0.01)


def test_no_residue_makes_no_atom() -> None:
    assert rebuilt(torch.zeros(0, 3)).shape == (0, 4, 3)


@pytest.mark.parametrize(("noise", "limit"), [(0.15, 0.55), (0.3, 0.95)])
def test_an_imperfect_trace_gets_a_sane_backbone(noise: float, limit: float) -> None:
    generator = torch.Generator().manual_seed(1)
    errors, c_n = [], []
    for chain in CHAINS:
        x, sequence, index = native(chain)
        ca = x[:, 1] + noise * torch.randn(len(x), 3, generator=generator)
        y = rebuilt(ca, sequence, index)
        assert_bonds_inside_residues(y)
        errors.append(rmsd(x, y))
        apart = ca.diff(dim=0).norm(dim=-1)
        spanned = (index.diff() == 1) & (apart > 3.45) & (apart < 4.15)
        c_n.append(internal_geometry(y, spanned)["C-N"])
    assert np.median(errors) < limit
    np.testing.assert_allclose(np.concatenate(c_n), 1.33, atol=0.01)


@pytest.mark.parametrize("points", [torch.zeros(9, 3), torch.arange(27.0).reshape(9, 3)])
def test_impossible_traces_stay_finite(points: Tensor) -> None:
    assert_bonds_inside_residues(rebuilt(points))


def test_lengths_that_disagree_are_refused() -> None:
    with pytest.raises(MinifoldError, match="5 Cα, 4 letters and 5 residue indices"):
        rebuild_backbone(torch.zeros(5, 3), "ACDE", torch.arange(5))


def test_the_table_is_small_and_has_a_coefficient_for_every_term() -> None:
    assert TABLE_PATH.stat().st_size < 100_000
    for orders, coefficients in regressions().values():
        assert torch.tensor(coefficients).shape == (math.prod(orders), 2)
