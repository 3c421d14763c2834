"""The losses: against float64 references, at the truth, in a mirror, and where it is thin."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn.functional import one_hot

import loss_reference as reference
from minifold_core.batch import Truth
from minifold_core.geometry.frames import ca_rotations
from minifold_core.residues import FIRST_AMINO_ACID, MASK, UNK, VOCABULARY_SIZE
from minifold_losses.config import ClashConfig, FAPEConfig
from minifold_losses.distances import ClashLoss
from minifold_losses.frames import FAPE_EPS, FAPELoss
from minifold_losses.plugin import minifold_components
from minifold_losses.residues import elements

LOSSES = {
    spec.name: spec.implementation_class()(spec.config_class()())
    for spec in minifold_components()
    if spec.kind == "loss"
}
ON_COORDS = (
    *("fape", "frame_rot", "dist_mse", "angle", "chirality"),
    *("aligned_mse", "smooth_lddt"),
)
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
        (backbone * mask[..., None]).to(dtype),
        mask,
        index,
        torch.full((b,), 10.0, dtype=dtype),
        tokens=torch.randint(UNK, VOCABULARY_SIZE, known.shape, generator=generator)
        * (torch.arange(length) < torch.tensor(LENGTHS)[:, None]),
    )
    prediction = {
        "coords": randn(b, length, 3) * 0.4,
        "rotations": torch.linalg.qr(randn(b, length, 3, 3)).Q,
        "log_rg": randn(b),
        "distance_logits": randn(b, length, length, K),
        "distance_edges": EDGES.expand(b, K),
        "distogram_logits": randn(b, length, length, K + 1),
        "distogram_edges": EDGES.expand(b, K),
        "contacts": randn(b, length, length).sigmoid(),
        "residue_logits": randn(b, length, 20),
        "secondary_logits": randn(b, length, 3),
    }
    prediction = {name: x.to(dtype) for name, x in prediction.items()}
    hidden = torch.rand(b, length, generator=generator) < 0.4
    return prediction | {"tokens": truth.tokens.masked_fill(hidden, MASK)}, truth


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
        "distogram_logits": one_hot(torch.bucketize(distance, EDGES), K + 1).to(truth.ca) * 100,
        "distogram_edges": EDGES.expand(len(truth.ca), K),
        "residue_logits": 100
        * one_hot((truth.tokens - FIRST_AMINO_ACID).clamp(min=0), 20).double(),
        "tokens": torch.full_like(truth.tokens, MASK),
        "secondary_logits": 100 * one_hot(elements(truth).clamp(min=0), 3).double(),
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
        "aux_distogram": lambda: reference.aux_distogram(p["distogram_logits"], y, known),
        "clash": lambda: reference.clash(x, p["contacts"], known, index),
        "aligned_mse": lambda: reference.aligned_mse(x, y, known),
        "smooth_lddt": lambda: reference.smooth_lddt(x, y, known),
        "masked_residues": lambda: reference.masked_residues(
            p["residue_logits"], p["tokens"], truth.tokens[row].numpy()
        ),
        "secondary": lambda: reference.secondary(p["secondary_logits"], y, known, index),
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


@pytest.mark.parametrize("name", [n for n in LOSSES if n not in ("bond", "clash", "smooth_lddt")])
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
    perfect_score = LOSSES["smooth_lddt"]({"coords": truth.ca}, truth)
    torch.testing.assert_close(LOSSES["smooth_lddt"](prediction, truth), perfect_score)
    for name in ("fape", "chirality", "aligned_mse"):
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


def test_contacts_are_a_constant_to_clash():
    prediction, truth = draw()
    needs = [prediction[name].requires_grad_() for name in ("coords", "contacts")]
    LOSSES["clash"](prediction, truth).sum().backward()
    assert [x.grad is not None for x in needs] == [True, False]


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
