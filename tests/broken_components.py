"""One sound component of each kind, and copies of it with one fault each."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from broken_configs import HeadConfig
from minifold_core.batch import Truth
from minifold_core.components import ComponentConfig
from minifold_core.geometry.frames import at_least_fp32, pairwise_distances
from minifold_core.interfaces import Denoiser, Features, Generators, Head, Loss, Metric
from minifold_ddpm.process import DDPM


class TorchConfig(HeadConfig):
    """In a module that imports torch."""


class SoundHead(Head):
    def __init__(self, config: HeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.net = nn.Sequential(nn.LayerNorm(widths["single"]), nn.Linear(widths["single"], 4))

    def forward(self, *, single: Tensor, mask: Tensor, contacts: Tensor | None) -> Features:
        return {"marks": self.marks(self.net(single), mask, contacts) * mask[..., None]}

    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return x


class LeakyHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return x + x.mean(1, keepdim=True)


class MixingHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return x + (x * mask[..., None]).sum((0, 1))


class OrderedHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return x * (1 + torch.arange(len(x), device=x.device).to(x))[:, None, None]


class UnmaskedHead(SoundHead):
    def forward(self, *, single: Tensor, mask: Tensor, contacts: Tensor | None) -> Features:
        return {"marks": self.net(single)}


class NarrowHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return x[..., :3]


class GenerousHead(SoundHead):
    def forward(self, *, single: Tensor, mask: Tensor, contacts: Tensor | None) -> Features:
        return {**super().forward(single=single, mask=mask, contacts=contacts), "more": single}


class SinglePrecisionHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return x.float()


class HomeboundHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return x + torch.ones(x.shape[-1], dtype=x.dtype)


class GreedyHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        assert contacts is not None
        return x + contacts.sum(-1, keepdim=True) * 0


class WritingHead(SoundHead):
    def forward(self, *, single: Tensor, mask: Tensor, contacts: Tensor | None) -> Features:
        with torch.no_grad():
            single.masked_fill_(~mask[..., None], 0)
        return super().forward(single=single, mask=mask, contacts=contacts)


class IdleHead(SoundHead):
    def __init__(self, config: HeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.spare = nn.Linear(2, 2)


class JudgingHead(SoundHead):
    def forward(self, *, sampled: Tensor, **ports: Tensor) -> Features:
        return super().forward(**ports)


class RecomputingHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return 2 * x if self.checkpointing else x


class RandomHead(SoundHead):
    def marks(self, x: Tensor, mask: Tensor, contacts: Tensor | None) -> Tensor:
        return x + torch.randn_like(x)


class LuckyHead(SoundHead):
    started = 0

    def __init__(self, config: HeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        LuckyHead.started += 1
        nn.init.constant_(self.net[1].bias, LuckyHead.started)


class SoundDenoiser(Denoiser):
    """Scales a chain about its centre."""

    def __init__(self, config: ComponentConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.net = nn.Sequential(nn.LayerNorm(widths["single"]), nn.Linear(widths["single"], 3))

    def forward(self, *, single: Tensor, mask: Tensor, coords_t: Tensor) -> Features:
        there = mask[..., None]
        x = at_least_fp32(coords_t).masked_fill(~there, 0)
        centre = x.sum(1, keepdim=True) / there.sum(1, keepdim=True).clamp(min=1)
        gate = at_least_fp32(self.net(single)).sum(-1, keepdim=True)
        return {"coords": self.place(x, centre, gate).masked_fill(~there, 0)}

    def place(self, x: Tensor, centre: Tensor, gate: Tensor) -> Tensor:
        return x + (x - centre) * gate.tanh()


class RootedDenoiser(SoundDenoiser):
    def place(self, x: Tensor, centre: Tensor, gate: Tensor) -> Tensor:
        return x * gate


class ForgetfulDenoiser(SoundDenoiser):
    """What it prepared it takes for something else."""

    def prepare(self, *, single: Tensor) -> Features:
        return {"kept": single}

    def forward(self, *, kept: Tensor | None = None, **ports: Tensor) -> Features:
        return super().forward(**ports | ({} if kept is None else {"single": -kept}))


class HoardingDenoiser(SoundDenoiser):
    def prepare(self, *, single: Tensor) -> Features:
        return {"kept": single.mean(0)}

    def forward(self, *, kept: Tensor | None = None, **ports: Tensor) -> Features:
        return super().forward(**ports)


class FrankDenoiser(RootedDenoiser):
    equivariant = False


class PointedDenoiser(SoundDenoiser):
    def place(self, x: Tensor, centre: Tensor, gate: Tensor) -> Tensor:
        return x + (x - centre) / (x - centre).norm(dim=-1, keepdim=True) * gate


class CoarseDenoiser(SoundDenoiser):
    def forward(self, *, single: Tensor, mask: Tensor, coords_t: Tensor) -> Features:
        given = super().forward(single=single, mask=mask, coords_t=coords_t)["coords"]
        return {"coords": given.to(self.net(single).dtype)}


class SoundLoss(Loss):
    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        x = at_least_fp32(prediction["coords"])
        return self.mean(self.error(x, truth.ca), truth.mask)

    def error(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).pow(2).sum(-1)

    def mean(self, error: Tensor, known: Tensor) -> Tensor:
        return error.masked_fill(~known, 0).sum(1) / known.sum(1).clamp(min=1)


class ScalarLoss(SoundLoss):
    def mean(self, error: Tensor, known: Tensor) -> Tensor:
        return super().mean(error, known).mean()


class PaddedLoss(SoundLoss):
    def mean(self, error: Tensor, known: Tensor) -> Tensor:
        return (error * known).mean(1)


class OffsetLoss(SoundLoss):
    def mean(self, error: Tensor, known: Tensor) -> Tensor:
        return super().mean(error, known) + 1


class PosedLoss(SoundLoss):
    def error(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y)[..., 0].pow(2)


class NormLoss(SoundLoss):
    def error(self, x: Tensor, y: Tensor) -> Tensor:
        return (x - y).norm(dim=-1) + (x - x[:, :1]).pow(2).sum(-1).sqrt()


class HalfBlindLoss(SoundLoss):
    def error(self, x: Tensor, y: Tensor) -> Tensor:
        return ((x - y) * (x - y).detach()).sum(-1)


class BlindLoss(SoundLoss):
    def error(self, x: Tensor, y: Tensor) -> Tensor:
        return super().error(x.detach(), y)


class CuriousLoss(SoundLoss):
    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        return super().__call__(prediction, truth) + prediction["log_rg"]


class CoarseLoss(SoundLoss):
    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        return super().__call__(prediction, truth).to(prediction["coords"].dtype)


class SoundMetric(Metric):
    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        distances = pairwise_distances(prediction["coords"] - truth.ca)
        pairs = truth.mask[:, :, None] & truth.mask[:, None]
        return {"spread": (distances * pairs).sum((1, 2)) / pairs.sum((1, 2))}


class EndlessMetric(SoundMetric):
    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        return {"per_residue": 1 / truth.mask.sum(1).to(truth.ca)}


class LumpMetric(SoundMetric):
    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        return {"spread": super().__call__(prediction, truth)["spread"].nanmean()}


class RisingProcess(DDPM):
    def snr(self, t: Tensor) -> Tensor:
        return 1 / super().snr(t)


class ShortProcess(DDPM):
    def trajectory(self, steps: int) -> list[int]:
        return super().trajectory(steps)[1:]


class DriftingProcess(DDPM):
    def prior(self, mask: Tensor, generators: Generators) -> Tensor:
        return super().prior(mask, generators) + mask[..., None]


class ExplodingProcess(DDPM):
    """States of EDM's own scale, x0 + σ ε."""

    def noise(self, x0: Tensor, t: Tensor, mask: Tensor, generators: Generators) -> Tensor:
        return super().noise(x0, t, mask, generators) / self.signal[t].sqrt()[:, None, None]


class QuietProcess(DDPM):
    def noise(self, x0: Tensor, t: Tensor, mask: Tensor, generators: Generators) -> Tensor:
        signal = self.signal[t].sqrt()[:, None, None] * x0
        return signal + 0.9 * (super().noise(x0, t, mask, generators) - signal)


class SharingProcess(DDPM):
    def prior(self, mask: Tensor, generators: Generators) -> Tensor:
        return super().prior(mask, [generators[0]] * len(mask))


class HastyProcess(DDPM):
    def step(self, x_t, x0, t, s, *rest):  # type: ignore[no-untyped-def]
        return super().step(x_t, 0.9 * x0 if s is None else x0, t, s, *rest)


class DeafProcess(DDPM):
    def step(self, x_t, x0, t, s, mask, eta, generators, temperature=1.0):  # type: ignore[no-untyped-def]
        return super().step(x_t, x0, t, s, mask, eta, generators)
