"""The transformer denoiser: its layer by hand, where it starts, and what each input decides."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from scipy.spatial.transform import Rotation
from torch import Tensor, nn
from torch.testing import assert_close

from minifold_core.testing import perturb
from minifold_transformer.block import AdaptiveNorm, TransformerBlock
from minifold_transformer.config import TransformerDenoiserConfig
from minifold_transformer.denoiser import TransformerDenoiser

WIDTHS = {"single": 12, "pair": 6}
SIGMA = 8.4
LENGTHS = (9, 6)


def denoiser(layers: int = 2, perturbed: bool = True) -> TransformerDenoiser:
    torch.manual_seed(0)
    config = TransformerDenoiserConfig(layers=layers, heads=2, d_model=16, d_time=8)
    made = TransformerDenoiser(config, WIDTHS).double()
    return perturb(made, scale=0.5) if perturbed else made


def ports(snr: float, previous: bool = True) -> dict:
    """Random inputs for two chains, not centred; ``snr`` is the same for both."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    b, length = len(LENGTHS), max(LENGTHS)
    values = {
        "single": normal(b, length, 12),
        "pair": normal(b, length, length, 6),
        "mask": torch.arange(length) < torch.tensor(LENGTHS)[:, None],
        "residue_index": torch.arange(length).expand(b, length),
        "coords_t": normal(b, length, 3) + 4,
        "coords_prev": normal(b, length, 3) - 7,
        "snr": torch.full((b,), snr, dtype=torch.float64),
    }
    return values if previous else values | {"coords_prev": None}


def coords(model: TransformerDenoiser, values: dict) -> Tensor:
    with torch.no_grad():
        return model(**values)["coords"]


def test_a_block_is_attention_with_pair_bias_and_a_gated_transition() -> None:
    """Against the formula, written out for each residue and head."""
    torch.manual_seed(1)
    config = TransformerDenoiserConfig(layers=1, heads=2, d_model=8, ffn_multiplier=3, d_time=4)
    block = perturb(TransformerBlock(config).double(), scale=0.5)
    x, time, bias = (
        torch.randn(*shape, dtype=torch.float64) for shape in ((1, 5, 8), (1, 4), (1, 2, 5, 5))
    )
    with torch.no_grad():
        found = block(x, time, bias)

    def modulated(norm: AdaptiveNorm, x: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift, gate = (norm.modulation.weight @ time[0] + norm.modulation.bias).split(8)
        centred = x - x.mean(-1, keepdim=True)
        size = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return centred / size * (1 + scale) + shift, gate

    with torch.no_grad():
        h = x[0]
        normed, gate = modulated(block.attention_norm, h)
        q, k, v = (each.view(5, 2, 4) for each in block.projection(normed).split(8, -1))
        gathered = torch.zeros(5, 2, 4, dtype=torch.float64)
        for i in range(5):
            for head in range(2):
                logits = torch.stack([q[i, head] @ k[j, head] / 2 for j in range(5)])
                weights = (logits + bias[0, head, i]).exp()
                gathered[i, head] = (weights / weights.sum()) @ v[:, head]
        h = h + gate * block.out(gathered.flatten(1))
        normed, gate = modulated(block.transition_norm, h)
        value, slope = block.widen(normed).split(24, -1)
        wanted = h + gate * block.narrow(value * slope * torch.sigmoid(slope))
    assert_close(found[0], wanted)


def test_every_noise_level_starts_with_the_same_network() -> None:
    """Adaptive norms begin as plain ones with closed gates: blocks hand on what they get."""
    model = denoiser(perturbed=False)
    x, times = torch.randn(2, 7, 16).double(), torch.randn(2, 8).double()
    bias = torch.randn(2, 2, 7, 7).double()
    for block in model.blocks:
        assert torch.equal(block(x, times, bias), x)
    (normed,) = model.last_norm(x, times)
    assert_close(normed, nn.functional.layer_norm(x, (16,)))


@pytest.mark.parametrize("sigma", [0.01, 8.4, 100.0, 1e4])
def test_untrained_it_is_the_best_guess_of_each_residue_alone(sigma: float) -> None:
    """Karras et al. 2022: c_skip (x0 + σ ε), the mean of x0 given one noised coordinate."""
    snr = (10 / sigma) ** 2  # noise of one unit, 10 Å, added to native coordinates
    values = ports(snr)
    found = coords(denoiser(perturbed=False), values)
    for row, length in enumerate(LENGTHS):
        state = values["coords_t"][row, :length]
        centre = state.mean(0)
        theirs = (state - centre) / (snr / (1 + snr)) ** 0.5
        wanted = SIGMA**2 / (SIGMA**2 + sigma**2) * theirs + centre
        assert_close(found[row, :length], wanted)
        assert not found[row, length:].any()


def test_without_noise_it_returns_its_input_whatever_it_learned() -> None:
    model, off = denoiser(), []
    for snr in (1e2, 1e4, 1e6, 1e8):
        values = ports(snr)
        change = (coords(model, values) - values["coords_t"])[values["mask"]]
        off.append(float(change.abs().max()))
    assert off[0] > 0.03
    assert off[-1] < 2e-3
    # The network's share falls as the noise does.
    assert off[1] / off[2] == pytest.approx(10, rel=0.3)
    assert off[2] / off[3] == pytest.approx(10, rel=0.3)


def test_without_signal_it_depends_on_the_sequence_and_is_finite() -> None:
    model, values = denoiser(), ports(0.0)
    found = coords(model, values)
    assert bool(found.isfinite().all())
    other = coords(model, values | {"single": values["single"].flip(1)})
    assert float((found - other).abs().max()) > 0.01


def test_a_pair_speaks_to_the_first_of_its_residues() -> None:
    """In one layer, features of the pair (i, j) change what i reads of j and nothing else."""
    model, values = denoiser(layers=1), ports(0.5)
    before = coords(model, values)
    pair = values["pair"].clone()
    pair[0, 2, 5] += torch.randn(6, dtype=torch.float64)
    moved = (coords(model, values | {"pair": pair}) - before).abs().amax(-1)
    assert float(moved[0, 2]) > 1e-4
    moved[0, 2] = 0
    assert float(moved.max()) < 1e-12
    # A pair with an absent residue is not read at all.
    pair = values["pair"].clone()
    pair[1, :, LENGTHS[1] :] += 10
    assert_close(coords(model, values | {"pair": pair}), before)


def test_state_and_previous_prediction_are_read_where_they_are_centred() -> None:
    model, values = denoiser(), ports(0.5)
    with torch.no_grad():
        before = model(**values)
    shift, other = torch.tensor([3.0, -2.0, 5.0]).double(), torch.tensor([50.0, 0.0, 1.0]).double()
    moved = values | {
        "coords_t": values["coords_t"] + shift,
        "coords_prev": values["coords_prev"] + other,
    }
    with torch.no_grad():
        after = model(**moved)
    mask = values["mask"]
    assert_close(after["coords"][mask], before["coords"][mask] + shift)
    assert_close(after["rotations"][mask], before["rotations"][mask])
    assert float((coords(model, ports(0.5, previous=False)) - before["coords"]).abs().max()) > 1e-3


def test_it_turns_with_its_input_as_far_as_the_noise_is_low() -> None:
    """No symmetry is built in: what the network adds does not turn, what it is handed does."""
    model = denoiser()
    turn = torch.from_numpy(Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix())
    off = []
    for snr in (1e-2, 1.0, 1e4, 1e8):
        values = ports(snr)
        turned = values | {k: values[k] @ turn.T for k in ("coords_t", "coords_prev")}
        off.append(float((coords(model, turned) - coords(model, values) @ turn.T).abs().max()))
    assert off[0] > 0.1
    assert off[1] > off[2] > off[3]
    assert off[3] < 2e-3
    assert not TransformerDenoiser.equivariant


@pytest.mark.parametrize("snr", [1e-4, 0.3, 50.0])
def test_gradients_reach_state_and_noise_level(snr: float) -> None:
    """Against finite differences, in every coordinate and in the noise level."""
    model, values = denoiser(), ports(snr)
    inputs = {name: values[name] for name in ("coords_t", "coords_prev", "snr")}

    def given(*tensors: Tensor) -> Tensor:
        return model(**(values | dict(zip(inputs, tensors, strict=True))))["coords"]

    leaves = [value.clone().requires_grad_() for value in inputs.values()]
    gradients = torch.autograd.grad(given(*leaves).square().sum(), leaves)
    for gradient in gradients:
        assert bool(gradient.isfinite().all())
        assert float(gradient.abs().max()) > 0
    assert torch.autograd.gradcheck(given, leaves, eps=1e-6 * min(1, snr), atol=1e-4, rtol=1e-3)


def test_noise_levels_a_thousandfold_apart_are_told_apart() -> None:
    """Also beyond the levels of any process, where features stay as they are."""
    model = denoiser()
    levels = torch.logspace(-9, 9, 7, dtype=torch.float64)
    features = model._level(levels)
    apart = torch.cdist(features, features)[1:-1, 1:-1] + 9 * torch.eye(5)
    assert float(apart.min()) > 0.1
    ends = model._level(torch.tensor([0.0, 1e-30, 1e30, torch.inf]).double())
    assert_close(ends[0], ends[1])
    assert_close(ends[2], ends[3])
    assert bool(ends.isfinite().all())


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="d_model 30 is no multiple of heads 4"):
        TransformerDenoiserConfig(d_model=30, heads=4)
