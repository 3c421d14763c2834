"""The backbone head and its losses: ideal geometry, references, symmetries, thin inputs, v14."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.testing import assert_close

import backbone_reference as reference
from minifold_backbone.config import BackboneHeadConfig, OmegaConfig
from minifold_backbone.geometry import backbone_rotations, torsion
from minifold_backbone.head import MEAN_TURN, BackboneHead
from minifold_backbone.losses import OmegaLoss
from minifold_backbone.plugin import minifold_components
from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.geometry.frames import (
    ca_rotations,
    quaternion_to_rotation,
    rotation_to_quaternion,
)
from minifold_core.recipe import load_recipe
from minifold_core.testing import perturb
from minifold_core.training.objective import Objective
from minifold_core.units import MODEL_UNIT

WIDTH = 12
LOSSES = {
    spec.name: spec.implementation_class()(spec.config_class()())
    for spec in minifold_components()
    if spec.kind == "loss"
}
LOSSES["omega native"] = OmegaLoss(OmegaConfig(target="native"))
REFERENCES = {name: getattr(reference, name.split()[0]) for name in LOSSES}
REFERENCES["omega native"] = partial(reference.omega, target="native")
NATIVE = ("bb_fape", "omega native", "phi_psi")
LENGTHS = (12, 9, 7, 2, 1)
HISTORIES = Path(__file__).parents[1] / "versions"


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def head(trained: bool = True, dtype: torch.dtype = torch.float64) -> BackboneHead:
    torch.manual_seed(0)
    made = BackboneHead(BackboneHeadConfig(hidden=16), {"single": WIDTH})
    return (perturb(made) if trained else made).to(dtype)


def ports(ca: Tensor, index: Tensor | None = None, mask: Tensor | None = None) -> dict[str, Tensor]:
    """What the head needs, on a Cα trace [B, L, 3]."""
    b, length, _ = ca.shape
    mask = torch.ones(b, length, dtype=torch.bool) if mask is None else mask
    return {
        "coords": ca,
        "rotations": ca_rotations(ca, mask),
        "single": torch.randn(b, length, WIDTH, generator=rng(), dtype=torch.float64).to(ca),
        "mask": mask,
        "residue_index": torch.arange(length).expand(b, length) if index is None else index,
        "scale": torch.full((b,), MODEL_UNIT, dtype=ca.dtype),
    }


def random_ports(lengths: tuple[int, ...] = LENGTHS) -> dict[str, Tensor]:
    """Random walks with a missing residue, a break and padding."""
    b, length = len(lengths), max(lengths)
    known = torch.arange(length) < torch.tensor(lengths)[:, None]
    index = torch.arange(length).repeat(b, 1)
    index[:, 5:] += 3
    index[:, 6:] += 1  # the number that the chain of seven skips before its end
    known[:, 4:5] = False
    walk = torch.randn(b, length, 3, generator=rng(1), dtype=torch.float64) * 0.22
    return ports(walk.cumsum(1) * known[..., None], index, known)


def native_torsions(name: str) -> tuple[list[float], list[float], list[float]]:
    """φ, ψ and ω of a demo chain's first unbroken 40 residues; φ[0] and the last ψ are made up."""
    (chain,) = (chain for chain in open_dataset() if chain.name == name)
    assert chain.backbone_mask[:40].all()
    assert (chain.residue_index[1:40] - chain.residue_index[:39] == 1).all()
    found = [reference.torsions(chain.backbone.astype(float), i) for i in range(39)]
    psi, omega, phi = (list(kind) for kind in zip(*found, strict=True))
    return [-1.0, *phi], [*psi, 2.0], [*omega, math.pi]


def ideal_native(name: str = "1a8o.A") -> Tensor:
    """[1, 40, 4, 3] a demo chain's fold with ideal bonds and angles, in ångström."""
    return torch.from_numpy(reference.backbone(*native_torsions(name)))[None]


def on_frames(rotations: Tensor, ca: Tensor) -> Tensor:
    """[B, L, 4, 3] in ångström: what the untrained head makes of N-Cα-C frames and Cα (Å)."""
    mean_turn = quaternion_to_rotation(torch.tensor(MEAN_TURN, dtype=torch.float64))
    # The quaternion has four digits; what little it lacks to length 1 is no rotation.
    u, _, v = torch.linalg.svd(mean_turn)
    given = ports(ca / MODEL_UNIT) | {"rotations": rotations @ (u @ v).T}
    with torch.no_grad():
        return head(trained=False)(**given)["backbone"] * MODEL_UNIT


def lengths_of(x: Tensor) -> list[Tensor]:
    """N-Cα, Cα-C and C=O of atoms [..., 4, 3]."""
    return [(x[..., a, :] - x[..., b, :]).norm(dim=-1) for a, b in ((0, 1), (1, 2), (2, 3))]


def test_an_untrained_head_gives_ideal_residues_on_any_trace() -> None:
    given = random_ports()
    placed = head(trained=False)(**given)["backbone"]
    assert torch.equal(placed[:, :, 1], given["coords"])
    backbone = placed[given["mask"]] * MODEL_UNIT
    for found, ideal in zip(lengths_of(backbone), (1.458, 1.523, 1.231), strict=True):
        assert_close(found, torch.full_like(found, ideal), atol=1e-3, rtol=0)
    n, c = backbone[:, 0] - backbone[:, 1], backbone[:, 2] - backbone[:, 1]
    cosine = (n * c).sum(-1) / n.norm(dim=-1) / c.norm(dim=-1)
    assert_close(cosine.acos().rad2deg(), torch.full_like(cosine, 111.0), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", ["1a8o.A", "1tii.D"])
def test_ideal_frames_from_native_torsions_return_the_native_backbone(name: str) -> None:
    """Within 0.01 Å; the last O has no next residue to say where it is."""
    torsions = native_torsions(name)
    rotations, origins = (torch.from_numpy(x)[None] for x in reference.frames(*torsions))
    found = on_frames(rotations, origins)
    native = torch.from_numpy(reference.backbone(*torsions))[None]
    # Both were built from the same torsions, each in a pose of its own.
    own = backbone_rotations(native[:, 0])[:, None]
    native = (native - native[:, :1, 1:2]) @ own
    assert_close(found[:, :, :3], native[:, :, :3], atol=0.01, rtol=0)
    assert_close(found[:, :-1, 3], native[:, :-1, 3], atol=0.01, rtol=0)


def test_native_frames_return_real_backbones() -> None:
    """Crystals are not ideal, and peptides not quite planar: the typical atom is 0.05 Å off."""
    batch = collate(list(open_dataset()))
    truth = Truth.of(batch)
    native = truth.backbone.double() * MODEL_UNIT
    found = on_frames(backbone_rotations(native), native[:, :, 1])
    placed = batch.backbone_mask.all(-1) & torch.nn.functional.pad(truth.bonded(2), (0, 1))
    error = (found - native).norm(dim=-1)[placed][:, [0, 2, 3]]
    assert error.median() < 0.05
    assert error.quantile(0.9) < 0.2


def test_the_mean_turn_is_that_of_the_demo_chains() -> None:
    batch = collate(list(open_dataset()))
    truth = Truth.of(batch)
    inner = torch.nn.functional.pad(truth.bonded(3), (1, 1)) & batch.backbone_mask.all(-1)
    turns = truth.rotations.transpose(-1, -2) @ backbone_rotations(truth.backbone)
    q = rotation_to_quaternion(turns[inner]).double()
    mean = torch.linalg.eigh(q.T @ q).eigenvectors[:, -1]
    assert_close(mean * mean[0].sign(), torch.tensor(MEAN_TURN).double(), atol=1e-3, rtol=0)


def test_a_learned_turn_follows_the_mean_one() -> None:
    made, given, turn = head(trained=False), random_ports(), [0.3, -0.5, 0.2]
    with torch.no_grad():
        made.frame[-1].bias[:3] = torch.tensor(turn)
    placed = backbone_rotations(made(**given)["backbone"])
    mean, own = (Rotation.from_quat(q, scalar_first=True) for q in (MEAN_TURN, [1.0, *turn]))
    want = given["rotations"] @ torch.from_numpy((mean * own).as_matrix())
    assert_close(placed[given["mask"]], want[given["mask"]], atol=1e-6, rtol=0)


def test_torsions_have_the_sign_of_the_convention() -> None:
    x = ideal_native()[0]
    for i in range(39):
        want = reference.torsions(x.numpy(), i)[0]
        found = torsion(x[i, 0], x[i, 1], x[i, 2], x[i + 1, 0])
        assert math.atan2(found[1], found[0]) == pytest.approx(want, abs=1e-5)
    helix = torch.tensor([[1.0, 0, 0], [0, 0, 0], [0, 0, 1], [0, 1, 1]])  # clockwise is minus 90°
    assert_close(torsion(*helix), torch.tensor([0.0, 1.0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("trained", [True, False])
def test_the_head_is_not_mirror_blind(trained: bool) -> None:
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    ca = ideal_native()[:, :, 1] / MODEL_UNIT
    made = head(trained)
    there = made(**ports(ca))["backbone"] * mirror
    here = made(**ports(ca * mirror))["backbone"]
    assert (here - there).norm(dim=-1)[..., [0, 2, 3]].mean() * MODEL_UNIT > 0.1


def test_what_lies_across_a_break_is_not_seen() -> None:
    ca = ideal_native()[:, :8, 1] / MODEL_UNIT
    index = torch.arange(8)[None] + 5 * (torch.arange(8) >= 4)
    given = ports(ca, index)
    moved = given | {"coords": ca + 3.0 * (torch.arange(8) >= 4)[None, :, None]}
    made = head()
    assert_close(made(**moved)["backbone"][:, :4], made(**given)["backbone"][:, :4])


def test_gradients_of_the_head_are_exact() -> None:
    given = random_ports((7, 3))
    inputs = [given[name].requires_grad_() for name in ("coords", "rotations", "single")]
    made = head()

    def placed(coords: Tensor, rotations: Tensor, single: Tensor) -> Tensor:
        seen = {"coords": coords, "rotations": rotations, "single": single}
        return made(**given | seen)["backbone"]

    assert torch.autograd.gradcheck(placed, inputs, fast_mode=True)


def test_the_head_learns_where_native_atoms_are() -> None:
    """One chain by heart: its frames are 22° off at first, and the trace shows where its helices
    are."""
    native = ideal_native() / MODEL_UNIT
    ones = torch.ones(1, 40, 4, dtype=torch.bool)
    truth = Truth(native, ones, torch.arange(40)[None], torch.tensor([MODEL_UNIT]).double())
    made, given = head(trained=False), ports(native[:, :, 1])
    optimizer = torch.optim.Adam(made.parameters(), 1e-2)
    values = []
    for _ in range(100):
        value = LOSSES["bb_fape"](made(**given), truth).sum()
        values.append(value.item())
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    assert values[-1] < 0.3 * values[0]


def draw(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[dict[str, Tensor], Truth]:
    """Random chains with missing residues and atoms, a break and padding, and a prediction."""
    randn = partial(torch.randn, generator=rng(seed), dtype=torch.float64)
    b, length = len(LENGTHS), max(LENGTHS)
    known = torch.arange(length) < torch.tensor(LENGTHS)[:, None]
    known[1, 4] = False
    mask = known[..., None].repeat(1, 1, 4)
    mask[0, 2, 0] = mask[0, 6, 2] = mask[1, 7, 3] = False
    index = torch.arange(length).repeat(b, 1)
    index[2, 3:] += 5
    walk = (randn(b, length, 1, 3) * 0.25).cumsum(1)
    native = (walk + randn(b, length, 4, 3) * 0.15) * mask[..., None]
    truth = Truth(native.to(dtype), mask, index, torch.full((b,), 10.0, dtype=dtype))
    predicted = walk + randn(b, length, 4, 3) * 0.2
    return {"backbone": predicted.to(dtype)}, truth


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LOSSES)
def test_losses_equal_the_reference(name: str, seed: int) -> None:
    prediction, truth = draw(seed)
    values = LOSSES[name](prediction, truth)
    assert values.dtype == torch.float64
    for row, value in enumerate(values):
        parts = (prediction["backbone"], truth.backbone, truth.backbone_mask, truth.residue_index)
        want = REFERENCES[name](*(part[row].numpy() for part in parts))
        assert value.item() == pytest.approx(want, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("name", NATIVE)
def test_native_losses_are_zero_at_the_truth(name: str) -> None:
    _, truth = draw()
    bound = 1.001e-4 if name == "bb_fape" else 1e-6
    assert LOSSES[name]({"backbone": truth.backbone}, truth).abs().max() <= bound


def ideal_truth(backbone: Tensor) -> Truth:
    """A whole chain [1, L, 4, 3] in ångström as the truth."""
    whole = torch.ones(backbone.shape[:3], dtype=torch.bool)
    index = torch.arange(backbone.shape[1])[None]
    scale = torch.full((1,), MODEL_UNIT, dtype=backbone.dtype)
    return Truth(backbone / MODEL_UNIT, whole, index, scale)


def test_ideal_losses_are_zero_on_an_ideal_planar_chain() -> None:
    phi, psi, _ = native_torsions("1a8o.A")
    backbone = reference.backbone(phi, psi, [math.pi] * len(phi))
    truth = ideal_truth(torch.from_numpy(backbone)[None])
    for name in ("bb_bond", "bb_angle", "omega"):
        assert LOSSES[name]({"backbone": truth.backbone}, truth).item() < 1e-6, name


def test_lengths_and_angles_are_judged_in_model_units() -> None:
    """Atoms ten times too far out, the published fault, would score (9 · 1.4 Å)² on bonds."""
    truth = ideal_truth(ideal_native())
    ca = truth.backbone[:, :, 1:2]
    tenfold = {"backbone": ca + 10 * (truth.backbone - ca)}
    assert LOSSES["bb_bond"](tenfold, truth).item() > 1.0
    assert LOSSES["bb_bond"]({"backbone": truth.backbone}, truth).item() < 1e-6


def test_planar_omega_condemns_a_cis_bond_and_native_omega_does_not() -> None:
    phi, psi, omega = native_torsions("1a8o.A")
    cis = [0.05 if i == 10 else math.pi for i in range(len(omega))]
    truth = ideal_truth(torch.from_numpy(reference.backbone(phi, psi, cis))[None])
    right = {"backbone": truth.backbone}
    assert LOSSES["omega"](right, truth).item() == pytest.approx((1 + math.cos(0.05)) / 39, 1e-4)
    assert LOSSES["omega native"](right, truth).item() < 1e-6
    flat = torch.from_numpy(reference.backbone(phi, psi, [math.pi] * len(omega)))[None]
    wrong = {"backbone": flat / MODEL_UNIT}
    assert LOSSES["omega"](wrong, truth).item() < 1e-6
    assert LOSSES["omega native"](wrong, truth).item() == pytest.approx(1.99875 / 39, 1e-3)


def test_a_mirror_image_fools_ideal_values_only() -> None:
    truth = ideal_truth(ideal_native())
    mirrored = {"backbone": truth.backbone * torch.tensor([1.0, 1.0, -1.0])}
    for name in ("bb_bond", "bb_angle"):
        assert LOSSES[name](mirrored, truth).item() < 1e-6
    assert LOSSES["bb_fape"](mirrored, truth).item() > 0.5
    assert LOSSES["phi_psi"](mirrored, truth).item() > 0.5
    # ω differs from its mirror image by twice its distance from 180°.
    tilted = ideal_truth(
        torch.from_numpy(reference.backbone([-1.0] * 9, [2.0] * 9, [2.7] * 9))[None]
    )
    mirrored = {"backbone": tilted.backbone * torch.tensor([1.0, 1.0, -1.0])}
    assert LOSSES["omega native"](mirrored, tilted).item() == pytest.approx(1 - math.cos(5.4), 1e-3)
    assert LOSSES["omega"](mirrored, tilted).item() == pytest.approx(1 + math.cos(2.7), 1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_do_not_see_the_pose(name: str) -> None:
    prediction, truth = draw()
    values = LOSSES[name](prediction, truth)
    turn = torch.from_numpy(Rotation.random(random_state=1).as_matrix())
    moved = {"backbone": prediction["backbone"] @ turn.T + 3.0}
    assert_close(LOSSES[name](moved, truth), values)


def swapped_natives(batch: ProteinBatch) -> ProteinBatch:
    """The same Cα with other N, C and O."""
    return replace(batch, backbone=batch.backbone[:, :, [3, 1, 0, 2]])


def test_native_frames_are_targets_and_never_inputs(demo_batch: ProteinBatch) -> None:
    torch.manual_seed(0)
    model = perturb(assemble("v14", "nano")).eval()
    objective = Objective.of(model.recipe)
    predictions, terms = [], []
    for batch in (demo_batch, swapped_natives(demo_batch)):
        noised = objective.noised(batch, [rng(0), rng(1)])
        with torch.no_grad():
            features = objective.predict(model, batch, noised, self_condition=True)
        predictions.append(features)
        terms.append(objective.terms(features, batch))
    for name, value in predictions[0].items():
        assert torch.equal(predictions[1][name], value), name
    assert (terms[0]["bb_fape"] - terms[1]["bb_fape"]).abs().min() > 1e-3


def test_every_weight_of_the_head_is_reached_in_v14(demo_batch: ProteinBatch) -> None:
    torch.manual_seed(0)
    model = perturb(assemble("v14", "nano"), 0.1).train()
    objective = Objective.of(model.recipe)
    noised = objective.noised(demo_batch, [rng(0), rng(1)])
    terms = objective.terms(objective.predict(model, demo_batch, noised), demo_batch)
    assert {"bb_fape", "bb_bond", "bb_angle", "omega"} <= set(terms)
    objective.total(terms, 1).sum().backward()
    for name, weight in model.part("heads.backbone").named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def test_v14_has_the_published_size_and_the_head_learns_five_times_as_fast() -> None:
    model = assemble("v14")
    counts = {path: total for path, (total, _) in model.parameter_counts().items()}
    assert 35e6 < sum(counts.values()) < 40e6
    assert 0.1e6 < counts["heads.backbone"] < 0.6e6
    assert model.recipe.training.learning_rate_scale["heads.backbone"] == 5
    assert model.wiring.idle == ()


def rows(version: str) -> list[dict[str, str]]:
    text = (HISTORIES / f"minifold_{version}" / "history.csv").read_text()
    return list(csv.DictReader(text.splitlines()))


def test_v14_weights_give_the_published_totals() -> None:
    """Terms that v14's table lacks are taken from the rows of v13's; what is left is bb_angle's.

    It was not printed either, but must be a possible squared error of cosines, and much the same in
    both epochs.
    """
    losses = load_recipe("v14").losses
    left = []
    for row in rows("v14"):
        weight = {n: term.weight_at(int(row["epoch"])) for n, term in losses.items() if term.active}
        printed = sum(weight[name] * float(row[name]) for name in weight if name in row)
        missing = [name for name in weight if name not in row and name != "bb_angle"]
        assert set(missing) == {"bond", "chirality", "angle", "rg", "aux_dist"}
        unprinted = [sum(weight[n] * float(past[n]) for n in missing) for past in rows("v13")]
        remainder = float(row["val_total"]) - printed - sum(unprinted) / len(unprinted)
        left.append(remainder / weight["bb_angle"])
    assert all(0.02 < angle < 0.12 for angle in left), left
    assert abs(left[0] - left[1]) < 0.03
