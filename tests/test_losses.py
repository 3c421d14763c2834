"""The nine losses: against float64 references, at the truth, in a mirror, and where it is thin."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import loss_reference as reference
from minifold_core.batch import Truth
from minifold_core.geometry.frames import ca_rotations
from minifold_losses.config import ClashConfig, FAPEConfig
from minifold_losses.distances import ClashLoss
from minifold_losses.frames import FAPE_EPS, FAPELoss
from minifold_losses.plugin import minifold_components

LOSSES = {
    spec.name: spec.implementation_class()(spec.config_class()()) for spec in minifold_components()
}
ON_COORDS = ("fape", "frame_rot", "dist_mse", "angle", "chirality")
LENGTHS = (12, 9, 7, 2, 1)
K = 31
EDGES = torch.linspace(2, 40, K + 2)[1:-1]


def draw(seed=0, dtype=torch.float64):
    """A batch of random chains with missing residues, a break and padding, and a prediction."""
    generator = torch.Generator().manual_seed(seed)
    randn = partial(torch.randn, generator=generator, dtype=torch.float64)
    b, length = len(LENGTHS), max(LENGTHS)
    known = torch.arange(length) < torch.tensor(LENGTHS)[:, None]
    known[1, 4] = False
    index = torch.arange(length).repeat(b, 1)
    index[2, 3:] += 5
    backbone = (randn(b, length, 1, 3) * 0.25).cumsum(1) + randn(b, length, 4, 3) * 0.1
    mask = known[..., None].expand(-1, -1, 4)
    truth = Truth(
        (backbone * mask[..., None]).to(dtype), mask, index, torch.full((b,), 10.0, dtype=dtype)
    )
    prediction = {
        "coords": randn(b, length, 3) * 0.4,
        "rotations": torch.linalg.qr(randn(b, length, 3, 3)).Q,
        "log_rg": randn(b),
        "distance_logits": randn(b, length, length, K),
        "distance_edges": EDGES.expand(b, K),
        "contacts": randn(b, length, length).sigmoid(),
    }
    return {name: x.to(dtype) for name, x in prediction.items()}, truth


def perfect(truth):
    """The prediction that equals the truth in every port."""
    distance = torch.cdist(truth.ca, truth.ca) * truth.scale[:, None, None]
    n = truth.mask.sum(1, keepdim=True)
    centre = (truth.ca.sum(1) / n)[:, None]
    squares = ((truth.ca - centre).pow(2).sum(-1) * truth.mask).sum(1) / n[:, 0]
    return {
        "coords": truth.ca.clone(),
        "rotations": truth.rotations.clone(),
        "log_rg": (squares.clamp(min=1e-12).sqrt() * truth.scale).log(),
        "distance_logits": (distance[..., None] > EDGES).to(truth.ca) * 200 - 100,
        "distance_edges": EDGES.expand(len(truth.ca), K),
    }


def expected(name, prediction, truth, row):
    p = {key: value[row].numpy() for key, value in prediction.items()}
    x, r, y, s = p["coords"], p["rotations"], truth.ca[row].numpy(), truth.rotations[row].numpy()
    known, index = truth.mask[row].numpy(), truth.residue_index[row].numpy()
    return {
        "fape": lambda: reference.fape(x, r, y, s, known),
        "frame_rot": lambda: reference.frame_rot(r, s, known),
        "dist_mse": lambda: reference.dist_mse(x, y, known),
        "bond": lambda: reference.bond(x, known, index),
        "angle": lambda: reference.angle(x, y, known, index),
        "chirality": lambda: reference.chirality(x, y, known, index),
        "rg": lambda: reference.rg(p["log_rg"], y, known),
        "aux_dist": lambda: reference.aux_dist(p["distance_logits"], y, known),
        "clash": lambda: reference.clash(x, p["contacts"], known, index),
    }[name]()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LOSSES)
def test_equals_the_reference(name, seed):
    prediction, truth = draw(seed)
    values = LOSSES[name](prediction, truth)
    want = [expected(name, prediction, truth, row) for row in range(len(LENGTHS))]
    assert values.dtype == torch.float64
    torch.testing.assert_close(
        values, torch.tensor(want, dtype=torch.float64), rtol=1e-5, atol=1e-8
    )


def test_clamped_fape_equals_the_reference():
    prediction, truth = draw()
    values = FAPELoss(FAPEConfig(clamp=7.0))(prediction, truth)
    for row, value in enumerate(values):
        x, r = prediction["coords"][row].numpy(), prediction["rotations"][row].numpy()
        y, s = truth.ca[row].numpy(), truth.rotations[row].numpy()
        want = reference.fape(x, r, y, s, truth.mask[row].numpy(), clamp=7.0)
        assert value.item() == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in ("bond", "clash")])
def test_zero_at_the_truth(name):
    _, truth = draw()
    bound = 1.001e-4 if name == "fape" else 1e-9
    assert LOSSES[name](perfect(truth), truth).abs().max() <= bound


def test_bond_and_clash_are_zero_on_an_ideal_chain():
    ca = torch.zeros(1, 6, 3)
    ca[0, :, 0] = 0.38 * torch.arange(6)
    backbone = ca[:, :, None].repeat(1, 1, 4, 1)
    known = torch.ones(1, 6, 4, dtype=torch.bool)
    truth = Truth(backbone, known, torch.arange(6)[None], torch.tensor([10.0]))
    assert LOSSES["bond"]({"coords": ca}, truth).item() < 1e-12
    assert LOSSES["clash"]({"coords": ca}, truth).item() == 0


def test_a_mirror_image_fools_distances_only():
    _, truth = draw()
    whole = slice(0, 3)  # the chains with a quartet
    mirrored = truth.ca * torch.tensor([1.0, 1.0, -1.0])
    prediction = {"coords": mirrored, "rotations": ca_rotations(mirrored, truth.mask)}
    assert LOSSES["dist_mse"](prediction, truth).abs().max() < 1e-12
    assert LOSSES["angle"](prediction, truth).abs().max() < 1e-12
    for name in ("fape", "chirality"):
        assert LOSSES[name](prediction, truth)[whole].min() > 0.01, name


@pytest.mark.parametrize("name", [*ON_COORDS, "bond", "clash"])
def test_invariant_under_motions_of_the_prediction(name):
    prediction, truth = draw()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64)).Q
    turn = turn * torch.det(turn)
    moved = prediction | {"coords": prediction["coords"] @ turn.T + torch.tensor([3.0, -7.0, 1.0])}
    # Frames turn with the structure for FAPE; frame_rot compares them in the pose of the truth.
    if name != "frame_rot":
        moved["rotations"] = turn @ prediction["rotations"]
    torch.testing.assert_close(LOSSES[name](moved, truth), LOSSES[name](prediction, truth))


@pytest.mark.parametrize("name", LOSSES)
def test_batch_mates_and_padding_change_nothing(name):
    prediction, truth = draw()
    together = LOSSES[name](prediction, truth)
    for row, length in enumerate(LENGTHS):
        alone = {key: value[row : row + 1] for key, value in prediction.items()}
        for key, axes in {"coords": 1, "rotations": 1, "distance_logits": 2, "contacts": 2}.items():
            for axis in range(1, axes + 1):
                alone[key] = alone[key].narrow(axis, 0, length)
        part = slice(row, row + 1)
        short = Truth(
            truth.backbone[part, :length],
            truth.backbone_mask[part, :length],
            truth.residue_index[part, :length],
            truth.scale[part],
        )
        torch.testing.assert_close(LOSSES[name](alone, short), together[part])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("length", [1, 2, 3, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_finite_at_coincident_points_and_without_residues(name, length, dtype):
    known = torch.ones(2, length, 4, dtype=torch.bool)
    known[1] = False
    truth = Truth(
        torch.zeros(2, length, 4, 3),
        known,
        torch.arange(length).repeat(2, 1),
        torch.full((2,), 10.0),
    )
    prediction = {
        "coords": torch.zeros(2, length, 3, dtype=dtype),
        "rotations": torch.eye(3, dtype=dtype).repeat(2, length, 1, 1),
        "log_rg": torch.zeros(2, dtype=dtype),
        "distance_logits": torch.zeros(2, length, length, K, dtype=dtype),
        "distance_edges": EDGES.expand(2, K).clone(),
        "contacts": torch.ones(2, length, length, dtype=dtype),
    }
    for x in prediction.values():
        x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        values = LOSSES[name](prediction, truth)
    assert values.dtype == torch.float32
    assert values.isfinite().all()
    assert values[1] == 0
    if values.requires_grad:
        values.sum().backward()
    grads = {key: x.grad for key, x in prediction.items() if x.grad is not None}
    assert all(grad.isfinite().all() for grad in grads.values())
    assert all((grad[1] == 0).all() for grad in grads.values())
    assert "contacts" not in grads


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_exact(name):
    prediction, truth = draw()
    ports = [p.name for p in LOSSES[name].config.needs() if p.name in prediction]
    inputs = [
        prediction[port].requires_grad_(port not in ("contacts", "distance_edges"))
        for port in ports
    ]

    def loss(*values):
        return LOSSES[name](dict(zip(ports, values, strict=True)), truth)

    assert torch.autograd.gradcheck(loss, inputs, fast_mode=True)


def test_autocast_does_not_reach_the_sums():
    prediction, truth = draw(dtype=torch.float32)
    plain = {name: loss(prediction, truth) for name, loss in LOSSES.items()}
    with torch.autocast("cpu", torch.bfloat16):
        for name, loss in LOSSES.items():
            assert torch.equal(loss(prediction, truth), plain[name]), name


def test_clash_without_contacts_counts_every_pair_once():
    prediction, truth = draw()
    loss = ClashLoss(ClashConfig())
    given = prediction | {"contacts": torch.zeros_like(prediction["contacts"])}
    assert torch.equal(loss({"coords": prediction["coords"]}, truth), loss(given, truth))


def test_every_need_is_in_the_vocabulary():
    known = {"coords", "rotations", "log_rg", "contacts", "truth.ca"}
    known |= {"distance_logits", "distance_edges"}
    for loss in LOSSES.values():
        needs = {port.name for port in loss.config.needs()}
        assert needs <= known | {"truth.rotations"}
        assert any(name.startswith("truth.") for name in needs)


def test_rebuilt_frames_are_those_of_the_predicted_trace():
    prediction, truth = draw()
    rebuilt = FAPELoss(FAPEConfig(frames="rebuilt"))
    frames = {"rotations": ca_rotations(prediction["coords"], truth.mask)}
    expected = FAPELoss(FAPEConfig())(prediction | frames, truth)
    assert torch.equal(rebuilt({"coords": prediction["coords"]}, truth), expected)
    assert rebuilt(perfect(truth), truth).max() <= FAPE_EPS**0.5 * 1.001
    assert "rotations" not in {port.name for port in rebuilt.config.needs()}


def test_a_clash_threshold_in_model_units_is_ten_times_too_wide():
    prediction, truth = draw()
    broken = ClashLoss(ClashConfig(unit="model"))(prediction, truth)
    wide = ClashLoss(ClashConfig(threshold=30.0))(prediction, truth)
    torch.testing.assert_close(broken, wide)
    assert (broken[:3] > 10 * ClashLoss(ClashConfig())(prediction, truth)[:3]).all()
