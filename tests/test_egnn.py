"""The EGNN denoiser: its formula, its symmetries, and what it must survive."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from minifold_core.testing import perturb
from minifold_egnn.config import EGNNDenoiserConfig
from minifold_egnn.denoiser import EGNNDenoiser
from minifold_egnn.layer import EGNNLayer, mean_weights, radial
from minifold_egnn.plugin import minifold_components

WIDTHS = {"single": 12, "pair": 6}
SMALL = EGNNDenoiserConfig(layers=3, d_model=16, d_edge=10, d_ffn=24, d_time=8)


def small(dtype: torch.dtype = torch.float64) -> EGNNDenoiser:
    torch.manual_seed(0)
    return perturb(EGNNDenoiser(SMALL, WIDTHS).to(dtype), scale=0.8)


def ports(lengths: list[int], dtype: torch.dtype = torch.float64, previous: bool = True) -> dict:
    """Random inputs; the first chain has a gap if it is long, and padding holds junk."""
    generator = torch.Generator().manual_seed(sum(lengths))
    b, length = len(lengths), max(lengths)
    mask = torch.arange(length) < torch.tensor(lengths)[:, None]
    if lengths[0] > 3:
        mask[0, 2] = False

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    return {
        "single": normal(b, length, WIDTHS["single"]),
        "pair": normal(b, length, length, WIDTHS["pair"]),
        "mask": mask,
        "coords_t": normal(b, length, 3),
        "t": torch.arange(b) * 100 + 50,
        "coords_prev": normal(b, length, 3) if previous else None,
    }


def isometry(seed: int, mirrored: bool) -> Tensor:
    turn = torch.from_numpy(Rotation.random(random_state=seed).as_matrix())
    return -turn if mirrored else turn


def moved(inputs: dict, isometry: Tensor, shift: Tensor | float = 0.0) -> dict:
    return {
        **inputs,
        **{
            name: inputs[name] @ isometry.T + shift
            for name in ("coords_t", "coords_prev")
            if inputs[name] is not None
        },
    }


def first_by_joining(layer: EGNNLayer, features: Tensor, pair: Tensor, seen: Tensor) -> Tensor:
    """The first linear map of the message network on [h_i, h_j, pair_ij, distances_ij]."""
    length = features.shape[1]
    receiver = features[:, :, None].expand(-1, -1, length, -1)
    sender = features[:, None].expand(-1, length, -1, -1)
    of_receiver, of_sender = layer.from_residues.weight.chunk(2)
    weight = [of_receiver, of_sender, layer.from_pair.weight, layer.from_distances.weight]
    joined = torch.cat([receiver, sender, pair, seen], -1)
    return F.linear(joined, torch.cat(weight, 1), layer.from_pair.bias)


def by_the_formula(
    layer: EGNNLayer, features: Tensor, coords: Tensor, time: Tensor, pair: Tensor, known: Tensor
) -> tuple[Tensor, Tensor]:
    """The layer for one protein of known residues, residue by residue."""
    length = len(features)
    h = features + layer.time(time)
    rows, places = [], []
    for i in range(length):
        place, received = coords[i], torch.zeros(layer.from_pair.out_features).to(h)
        for j in range(length):
            if j == i:
                continue
            apart = coords[i] - coords[j]
            own = (1 + apart.pow(2).sum() / layer.distance_scale**2).log()
            seen = torch.cat([own[None], known[i, j]])
            message = layer.message(
                first_by_joining(
                    layer, torch.stack([h[i], h[j]])[None], pair[None, i, j].expand(1, 2, 2, -1),
                    seen.expand(1, 2, 2, -1),
                )[0, 0, 1]
            )  # fmt: skip
            step = layer.step(message) * apart / (apart.norm() + 1)
            place = place + step / (length - 1)
            if layer.update is not None:
                received = received + layer.update.edge(message).sigmoid() * message / (length - 1)
        places.append(place)
        if layer.update is None:
            rows.append(h[i])
        else:
            joined = torch.cat([h[i], layer.update.received_norm(received)])
            rows.append(layer.update.norm(h[i] + layer.update.network(joined)))
    return torch.stack(rows), torch.stack(places)


@pytest.mark.parametrize("number", range(SMALL.layers))
def test_a_layer_equals_the_formula(number: int) -> None:
    layer = small().layers[number]
    assert isinstance(layer, EGNNLayer)
    generator = torch.Generator().manual_seed(1)
    shapes = ((7, SMALL.d_model), (7, 3), (SMALL.d_time,), (7, 7, WIDTHS["pair"]), (7, 7, 2))
    arguments = [torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes]
    weights = mean_weights(torch.ones(1, 7, dtype=torch.bool), torch.float64)
    with torch.no_grad():
        found = layer(*(x[None] for x in arguments), weights)
        expected = by_the_formula(layer, *arguments)
    assert (found[1][0] - arguments[1]).abs().max() > 1e-2
    for a, b in zip(found, expected, strict=True):
        assert_close(a[0], b, atol=1e-7, rtol=0)  # a root has 1e-8 added


def test_the_split_map_equals_the_joined_one_with_its_gradients() -> None:
    layer = small().layers[0]
    assert isinstance(layer, EGNNLayer)
    shapes = ((2, 9, SMALL.d_model), (2, 9, 9, WIDTHS["pair"]), (2, 9, 9, 3))
    inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in shapes]
    found, expected = layer._first(*inputs), first_by_joining(layer, *inputs)
    assert_close(found, expected, atol=1e-12, rtol=0)
    ramp = torch.linspace(-1, 1, found.numel(), dtype=torch.float64).view_as(found)
    over = [*inputs, layer.from_residues.weight, layer.from_pair.weight, layer.from_pair.bias]
    for a, b in zip(
        torch.autograd.grad((found * ramp).sum(), over),
        torch.autograd.grad((expected * ramp).sum(), over),
        strict=True,
    ):
        assert_close(a, b, atol=1e-10, rtol=0)


def test_distances_are_seen_on_a_scale_and_within_half_precision() -> None:
    squares = torch.tensor([0.0, 0.25**2, 1e12])
    seen = radial(squares, 0.25)
    assert_close(seen[:2], torch.tensor([0.0, 2.0]).clamp(min=1).log())
    assert seen[2] < 50


def test_means_run_over_other_known_residues() -> None:
    mask = torch.tensor([[True, True, True, False], [True, False, False, False]])
    weights = mean_weights(mask, torch.float64)
    half = 0.5 * (1 - torch.eye(3, dtype=torch.float64))
    assert_close(weights[0], F.pad(half, (0, 1, 0, 1)))
    assert weights[1].eq(0).all()


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_float32_follows_float64_through_the_whole_denoiser(shift: float) -> None:
    inputs = moved(ports([60, 40]), torch.eye(3).double(), shift)
    halved = {
        name: value.float() if torch.is_tensor(value) and value.is_floating_point() else value
        for name, value in inputs.items()
    }
    expected, found = small()(**inputs), small(torch.float32)(**halved)
    assert_close(found["coords"].double(), expected["coords"], atol=5e-4, rtol=0)


def test_an_untrained_denoiser_returns_the_state() -> None:
    inputs = ports([9])
    out = EGNNDenoiser(SMALL, WIDTHS).double()(**inputs)
    assert_close(out["coords"], inputs["coords_t"] * inputs["mask"][..., None])


@pytest.mark.parametrize("previous", [False, True], ids=["", "self-conditioned"])
@pytest.mark.parametrize("t", [0, 500, 999])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_predictions_are_mirrored_with_the_state(previous: bool, t: int, scale: float) -> None:
    denoiser, inputs = small(), ports([14, 9, 3], previous=previous)
    inputs |= {"coords_t": scale * inputs["coords_t"], "t": torch.full((3,), t)}
    by, shift = isometry(t, True), 10 * torch.randn(3, dtype=torch.float64)
    before = denoiser(**inputs)["coords"]
    after = denoiser(**moved(inputs, by, shift))["coords"]
    there = inputs["mask"][..., None]
    assert (before - inputs["coords_t"] * there).abs().max() > 1e-2
    assert_close(after, (before @ by.T + shift) * there, atol=1e-6, rtol=0)


def test_features_do_not_move_with_the_state() -> None:
    denoiser, inputs = small(), ports([14])
    seen: list[Tensor] = []
    denoiser.layers[-1].message.register_forward_hook(lambda m, i, out: seen.append(out))
    denoiser(**inputs)
    denoiser(**moved(inputs, isometry(0, True), 3.0))
    both = inputs["mask"][:, :, None] & inputs["mask"][:, None]
    assert seen[0][both].abs().max() > 0.1
    assert_close(seen[1][both], seen[0][both], atol=1e-6, rtol=0)


def test_the_pose_of_a_previous_prediction_has_no_effect_but_its_shape_has() -> None:
    denoiser, inputs = small(), ports([9])
    previous = inputs["coords_prev"]
    before = denoiser(**inputs)["coords"]
    again = {**inputs, "coords_prev": previous @ isometry(3, True).T + 5}
    assert_close(denoiser(**again)["coords"], before, atol=1e-9, rtol=0)
    for other in (None, 2 * previous):
        changed = denoiser(**{**inputs, "coords_prev": other})["coords"]
        assert (changed - before).abs().max() > 1e-3


@pytest.mark.parametrize("port", ["single", "pair", "t"])
def test_every_input_is_read(port: str) -> None:
    denoiser, inputs = small(), ports([9])
    other = 500 - inputs[port] if port == "t" else inputs[port].flip(-1)
    changed = denoiser(**{**inputs, port: other})["coords"]
    assert (changed - denoiser(**inputs)["coords"]).abs().max() > 1e-3


def test_padding_is_zero_whatever_the_inputs_hold_there() -> None:
    denoiser, inputs = small(), ports([9, 5])
    out = denoiser(**inputs)["coords"]
    off = ~inputs["mask"]
    assert out[off].eq(0).all()
    dirty = dict(inputs)
    for name, junk in (("single", 1e3), ("coords_t", torch.nan), ("coords_prev", torch.inf)):
        dirty[name] = inputs[name].masked_fill(off[..., None], junk)
    assert_close(denoiser(**dirty)["coords"], out)


def test_a_residue_without_others_stays_where_it_is() -> None:
    inputs = ports([1])
    assert_close(small()(**inputs)["coords"], inputs["coords_t"])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_far_points_stay_finite_in_half_precision(dtype: torch.dtype) -> None:
    denoiser, inputs = small(torch.float32), ports([11, 4, 0], torch.float32)
    far = {name: 1e6 * inputs[name] for name in ("coords_t", "coords_prev")}
    with torch.autocast("cpu", dtype=dtype):
        coords = denoiser(**inputs | far)["coords"]
    coords.sum().backward()
    assert coords.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in denoiser.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_distances_and_sums_of_coordinates_keep_their_precision_under_autocast(
    dtype: torch.dtype,
) -> None:
    """A shift of 1000 units would swallow every distance in half precision."""
    denoiser, inputs = small(torch.float32), ports([11], torch.float32)
    far = moved(inputs, torch.eye(3), 1000.0)
    with torch.autocast("cpu", dtype=dtype):
        near, shifted = denoiser(**inputs)["coords"], denoiser(**far)["coords"]
    there = inputs["mask"]
    assert_close(shifted[there] - 1000.0, near[there], atol=2e-2, rtol=0)


def test_checkpointing_recomputes_each_layer() -> None:
    for checkpointing, expected in ((False, 1), (True, 2)):
        denoiser, calls = small().train(), []
        denoiser.checkpointing = checkpointing
        denoiser.layers[0].message.register_forward_pre_hook(lambda *_, c=calls: c.append(True))
        denoiser(**ports([9, 5]))["coords"].sum().backward()
        assert len(calls) == expected


def count(config: EGNNDenoiserConfig, single: int, pair: int) -> int:
    with torch.device("meta"):
        denoiser = EGNNDenoiser(config, {"single": single, "pair": pair})
    return sum(weight.numel() for weight in denoiser.parameters())


def test_parameters_of_the_published_denoiser() -> None:
    assert count(EGNNDenoiserConfig(), 128, 128) == 12_511_335


def test_the_nano_size_is_small() -> None:
    (spec,) = minifold_components()
    assert spec.config_class() is EGNNDenoiserConfig
    assert spec.implementation_class() is EGNNDenoiser
    assert 300_000 < count(EGNNDenoiserConfig(**spec.sizes["nano"]), 64, 32) < 800_000


@pytest.mark.parametrize(
    "wrong", [{"layers": 0}, {"distance_scale": 0.0}, {"d_time": 7}, {"d_edgy": 8}]
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        EGNNDenoiserConfig(**wrong)
