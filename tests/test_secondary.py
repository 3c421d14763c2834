"""Secondary structure and handedness of Cα traces."""

import biotite.structure as struc
import numpy as np
import pytest
import torch

from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.evaluation.chirality import left_handed
from minifold_core.evaluation.metrics import compare_structures
from minifold_core.evaluation.secondary import (
    COIL,
    HELIX,
    STRAND,
    UNKNOWN,
    secondary_scores,
    secondary_structure,
)

MIRROR = torch.tensor([1.0, 1.0, -1.0])


@pytest.fixture(scope="module")
def demo():
    return collate(list(open_dataset("demo")))


def trace(points) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A batch of one whole chain."""
    x = torch.as_tensor(np.array(points), dtype=torch.float32)[None]
    return x, torch.ones(x.shape[:2], dtype=torch.bool), torch.arange(x.shape[1])[None]


def helix(length: int, hand: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    turn = np.radians(100) * np.arange(length) * hand
    return trace(np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(length)], -1))


def strand(length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    place = np.arange(length)
    return trace(np.stack([0.9 * (-1.0) ** place, 0.0 * place, 3.3 * place], -1))


def biotites(ca: torch.Tensor, mask: torch.Tensor, index: torch.Tensor) -> np.ndarray:
    """biotite's annotation of one chain's known residues."""
    known = mask.numpy()
    atoms = struc.AtomArray(int(known.sum()))
    atoms.coord, atoms.res_id = ca.numpy()[known], index.numpy()[known] + 1
    atoms.res_name[:], atoms.atom_name[:], atoms.chain_id[:] = "ALA", "CA", "A"
    letters = {"c": COIL, "a": HELIX, "b": STRAND}
    return np.array([letters[letter] for letter in struc.annotate_sse(atoms)])


@pytest.mark.parametrize("how", ["native", "mirrored", "noisy", "gaps and breaks", "compact"])
def test_it_is_biotites_annotation(demo, how: str) -> None:
    ca, mask, index = demo.ca, demo.ca_mask.clone(), demo.residue_index.clone()
    generator = torch.Generator().manual_seed(0)
    if how == "mirrored":
        ca = ca * MIRROR
    elif how == "noisy":
        ca = ca + 0.5 * torch.randn(ca.shape, generator=generator)
    elif how == "gaps and breaks":
        mask &= torch.rand(mask.shape, generator=generator) > 0.05
        index += (3 * (torch.rand(mask.shape, generator=generator) < 0.03)).cumsum(1)
    elif how == "compact":
        ca = 0.8 * ca
    elements = secondary_structure(ca, mask, index)
    assert (elements[~mask] == UNKNOWN).all()
    for row in range(len(ca)):
        expected = biotites(ca[row], mask[row], index[row])
        np.testing.assert_array_equal(elements[row][mask[row]].numpy(), expected)


def test_ideal_elements() -> None:
    assert (secondary_structure(*helix(20))[0, 1:-1] == HELIX).all()
    assert (secondary_structure(*strand(12))[0, 1:-2] == STRAND).all()
    assert (secondary_structure(*helix(5)) == COIL).all()


def test_a_break_ends_a_helix() -> None:
    ca, mask, index = helix(16)
    broken = secondary_structure(ca, mask, index + 5 * (index > 3))[0]
    assert (broken[:4] == COIL).all()
    assert (broken[5:-1] == HELIX).all()


def test_recalls_count_the_native_elements_only() -> None:
    (bent, mask, index), (flat, _, _) = helix(20), strand(20)
    kept = {name: float(v) for name, v in secondary_scores(bent, bent, mask, index).items()}
    assert (kept["ss3"], kept["helix_recall"]) == (1, 1)
    assert np.isnan(kept["strand_recall"])
    lost = {name: float(v) for name, v in secondary_scores(flat, bent, mask, index).items()}
    assert lost["helix_recall"] == 0
    assert lost["ss3"] < 0.2
    assert secondary_scores(bent, flat, mask, index)["strand_recall"] == 0


def test_left_handed_windows_are_those_of_a_mirror_image(demo) -> None:
    assert left_handed(*helix(20)) == 0
    assert left_handed(*helix(20, hand=-1)) == 1
    assert left_handed(*strand(20)).isnan()
    native = left_handed(demo.ca, demo.ca_mask, demo.residue_index)
    mirrored = left_handed(demo.ca * MIRROR, demo.ca_mask, demo.residue_index)
    torch.testing.assert_close(mirrored, 1 - native, equal_nan=True)
    assert native.nanmean() < 0.05


def test_windows_do_not_reach_across_a_break() -> None:
    ca, mask, index = helix(6, hand=-1)
    assert left_handed(ca, mask, index) == 1
    assert left_handed(ca, mask, index + 4 * (index > 2)).isnan()
    mask[0, 3] = False
    assert left_handed(ca, mask, index).isnan()


@pytest.mark.parametrize("what", ["one point", "straight", "scattered"])
def test_impossible_traces_have_no_elements(demo, what: str) -> None:
    straight = torch.arange(demo.ca.shape[1])[None, :, None] * torch.tensor([3.8, 0.0, 0.0])
    scattered = 1e6 * torch.randn(demo.ca.shape, generator=torch.Generator().manual_seed(0))
    pred = {"one point": 0 * demo.ca, "straight": straight, "scattered": scattered}[what]
    pred = pred.expand_as(demo.ca)
    scores = compare_structures(pred, demo.ca, demo.ca_mask, demo.residue_index)
    assert scores["helix_recall"].nansum() == 0
    assert scores["strand_recall"].nansum() == 0
    assert scores["left_handed"].isnan().all()
