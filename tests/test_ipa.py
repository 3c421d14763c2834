"""The IPA denoiser: its formula, its symmetries, and what it must survive."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.testing import assert_close

from minifold_core.geometry.frames import ca_rotations
from minifold_core.testing import perturb
from minifold_ipa.attention import InvariantPointAttention
from minifold_ipa.config import IPADenoiserConfig
from minifold_ipa.denoiser import IPADenoiser
from minifold_ipa.rigid import Frames, frame_confidence

WIDTHS = {"single": 12, "pair": 6}
SMALL = IPADenoiserConfig(
    layers=3, heads=2, head_dim=8, query_points=3, value_points=2, d_model=16, d_ffn=24, d_frame=16,
    d_time=8,
)  # fmt: skip


def small(dtype: torch.dtype = torch.float64) -> IPADenoiser:
    torch.manual_seed(0)
    return perturb(IPADenoiser(SMALL, WIDTHS).to(dtype), scale=0.8)


def ports(lengths: list[int], dtype: torch.dtype = torch.float64, snr: float = 5.0) -> dict:
    """Random inputs at a low noise level; the state is centred as a process leaves it."""
    generator = torch.Generator().manual_seed(sum(lengths))
    b, length = len(lengths), max(lengths)
    mask = torch.arange(length) < torch.tensor(lengths)[:, None]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    coords = normal(b, length, 3) * mask[..., None]
    return {
        "single": normal(b, length, WIDTHS["single"]),
        "pair": normal(b, length, length, WIDTHS["pair"]),
        "mask": mask,
        "coords_t": coords - coords.sum(1, keepdim=True) / mask.sum(1)[:, None, None].clamp(min=1),
        "t": torch.arange(b) * 100 + 50,
        "snr": torch.full((b,), snr),
        "coords_prev": None,
    }


def moved(inputs: dict, turn: Tensor, shift: Tensor | float = 0.0) -> dict:
    there = inputs["mask"][..., None]
    return {**inputs, "coords_t": (inputs["coords_t"] @ turn.T + shift) * there}


def turn(seed: int = 0) -> Tensor:
    return torch.from_numpy(Rotation.random(random_state=seed).as_matrix())


def by_the_formula(
    ipa: InvariantPointAttention, single: Tensor, pair: Tensor, bias: Tensor, frames: Frames
) -> Tensor:
    """Algorithm 22 for one protein, residue by residue; ``bias`` [H, L, L] is b, unscaled."""
    length, heads, c = len(single), ipa.heads, ipa.head_dim
    w_l, w_c = math.sqrt(1 / 3), math.sqrt(2 / (9 * ipa.query_points))
    gamma = torch.nn.functional.softplus(ipa.point_weight)
    q, k, v = ipa.scalars(single).view(length, 3, heads, c).unbind(1)
    counts = [heads * n for n in (ipa.query_points, ipa.query_points, ipa.value_points)]
    q_points, k_points, v_points = (
        part.view(length, 3, heads, -1).permute(0, 2, 3, 1)
        for part in ipa.points(single).view(length, 3, -1).split(counts, -1)
    )
    rotations, translations = frames.rotations[0], frames.translations[0]

    def place(j: int, local: Tensor) -> Tensor:
        return local @ rotations[j].T + translations[j]

    rows = []
    for i in range(length):
        scalars, points, norms, pairs = [], [], [], []
        for h in range(heads):
            logits = torch.stack([
                w_l * (
                    q[i, h] @ k[j, h] / math.sqrt(c) + bias[h, i, j]
                    - gamma[h] * w_c / 2
                    * (place(i, q_points[i, h]) - place(j, k_points[j, h])).pow(2).sum()
                )
                for j in range(length)
            ])  # fmt: skip
            a = logits.softmax(0)
            scalars.append(a @ v[:, h])
            pairs.append(a @ pair[0, i])
            mean = sum(a[j] * place(j, v_points[j, h]) for j in range(length))
            points.append((mean - translations[i]) @ rotations[i])
            norms.append((points[-1].pow(2).sum(-1) + 1e-8).sqrt())
        local = torch.cat(points).T.flatten()
        rows.append(torch.cat([*scalars, local, *norms, *pairs]))
    return ipa.out(torch.stack(rows))


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_attention_equals_the_formula(dtype: torch.dtype, atol: float) -> None:
    torch.manual_seed(0)
    ipa = perturb(InvariantPointAttention(16, 6, 2, 8, 3, 2).double())
    single, pair = (torch.randn(1, 9, 16).double(), torch.randn(1, 9, 9, 6).double())
    bias = torch.randn(2, 9, 9).double()
    translations = 3 * torch.randn(1, 9, 3).double()
    rotations = torch.from_numpy(Rotation.random(9, random_state=0).as_matrix())[None]
    with torch.no_grad():
        expected = by_the_formula(ipa, single[0], pair, bias, Frames(rotations, translations))
        found = ipa.to(dtype)(
            single.to(dtype),
            pair.to(dtype),
            (bias[:, None] / math.sqrt(3)).to(dtype),
            torch.zeros(1, 9, dtype=dtype),
            Frames(rotations.to(dtype), translations.to(dtype)),
        )
    assert_close(found[0].double(), expected, atol=atol, rtol=0)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_float32_follows_float64_through_the_whole_denoiser(shift: float) -> None:
    inputs = moved(ports([60, 40]), torch.eye(3).double(), shift)
    halved = {
        name: value.float() if torch.is_tensor(value) and value.is_floating_point() else value
        for name, value in inputs.items()
    }
    expected, found = small()(**inputs), small(torch.float32)(**halved)
    for name in expected:
        assert_close(found[name].double(), expected[name], atol=5e-4, rtol=0)


def test_an_untrained_denoiser_returns_the_state_and_its_frames() -> None:
    inputs = ports([9])
    out = IPADenoiser(SMALL, WIDTHS).double()(**inputs)
    assert_close(out["coords"], inputs["coords_t"])
    assert_close(out["rotations"], ca_rotations(inputs["coords_t"], inputs["mask"]))


def test_features_do_not_move_with_the_state() -> None:
    denoiser, inputs = small(), ports([14])
    seen: list[Tensor] = []
    denoiser.blocks[-1].attention.register_forward_hook(lambda m, i, out: seen.append(out))
    denoiser(**inputs)
    denoiser(**moved(inputs, turn(), 3.0))
    assert seen[0].abs().max() > 0.1
    assert_close(seen[1], seen[0], atol=1e-6, rtol=0)


def test_a_mirror_image_is_not_answered_with_the_mirror_image() -> None:
    denoiser, inputs = small(), ports([14])
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    before, after = denoiser(**inputs), denoiser(**moved(inputs, mirror))
    assert (after["coords"] - before["coords"] @ mirror).abs().max() > 1e-2


def test_padding_is_zero_and_identity_whatever_the_state_holds_there() -> None:
    denoiser, inputs = small(), ports([9, 5])
    out = denoiser(**inputs)
    off = ~inputs["mask"]
    assert (out["coords"][off] == 0).all()
    assert torch.equal(out["rotations"][off], torch.eye(3).double().expand(4, 3, 3))
    dirty = inputs["coords_t"].masked_fill(off[..., None], 1e3)
    assert_close(denoiser(**{**inputs, "coords_t": dirty}), out)


def first_frames(denoiser: IPADenoiser, inputs: dict) -> Frames:
    seen: list[Frames] = []
    denoiser.blocks[0].register_forward_pre_hook(lambda module, args: seen.append(args[1]))
    denoiser(**inputs)
    return seen[0]


def test_confidence_is_a_ramp_between_the_gates() -> None:
    snr = torch.tensor([0.0, 0.2, 0.6, 1.0, math.inf])
    assert_close(frame_confidence(snr, 0.2, 1.0), torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0]))


def test_noise_hides_the_frames() -> None:
    inputs = ports([9], snr=0.2)
    eye = torch.eye(3).double().expand(1, 9, 3, 3)
    assert_close(first_frames(small(), inputs).rotations, eye, atol=1e-9, rtol=0)
    clear = ca_rotations(inputs["coords_t"], inputs["mask"])
    assert_close(first_frames(small(), {**inputs, "snr": torch.ones(1)}).rotations, clear)
    half = first_frames(small(), {**inputs, "snr": torch.full((1,), 0.6)}).rotations
    angle = [((r.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).acos() for r in (half, clear)]
    assert_close(angle[0], angle[1] / 2, atol=1e-6, rtol=0)


def test_self_conditioning_changes_the_first_rotations_and_nothing_else() -> None:
    inputs = ports([9], snr=0.1)
    previous = torch.randn(1, 9, 3, dtype=torch.float64, requires_grad=True)
    frames = first_frames(small(), {**inputs, "coords_prev": previous})
    assert_close(frames.rotations, ca_rotations(previous.detach(), inputs["mask"]))
    assert_close(frames.translations, inputs["coords_t"])
    assert not frames.rotations.requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e6])
def test_autocast_keeps_frames_orthonormal_at_coincident_and_at_far_points(
    dtype: torch.dtype, scale: float
) -> None:
    inputs = ports([11, 4, 0], torch.float32)
    with torch.autocast("cpu", dtype=dtype):
        rotations = small(torch.float32)(**inputs | {"coords_t": inputs["coords_t"] * scale})[
            "rotations"
        ]
    gram = rotations.transpose(-1, -2) @ rotations
    assert_close(gram, torch.eye(3).expand_as(gram), atol=1e-5, rtol=0)


def test_checkpointing_recomputes_each_layer() -> None:
    for checkpointing, expected in ((False, 1), (True, 2)):
        denoiser, calls = small().train(), []
        denoiser.checkpointing = checkpointing
        denoiser.blocks[0].attention.register_forward_pre_hook(lambda *_, c=calls: c.append(True))
        denoiser(**ports([9, 5]))["coords"].sum().backward()
        assert len(calls) == expected


def test_parameters_of_the_published_denoiser() -> None:
    with torch.device("meta"):
        denoiser = IPADenoiser(IPADenoiserConfig(), {"single": 128, "pair": 128})
    assert sum(weight.numel() for weight in denoiser.parameters()) == 28_494_352


@pytest.mark.parametrize(
    "wrong", [{"layers": 0}, {"snr_low": 1.0}, {"d_time": 7}, {"query_pointz": 8}]
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        IPADenoiserConfig(**wrong)
