"""The sections of a recipe that are not components: how to train and how to sample."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Section(BaseModel):
    """A table of a recipe: frozen, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Schedule(Section):
    """Learning rate over epochs: linear warm-up, a constant stretch, then cosine decay."""

    warmup_epochs: float = Field(0, ge=0)
    warmup_start: float = Field(0.01, ge=0, le=1)
    """Factor of the learning rate with which the warm-up begins."""
    constant_epochs: float = Field(0, ge=0)
    restart_epochs: float = Field(0, ge=0)
    """Length of a cosine decay that starts anew again and again (Loshchilov & Hutter 2017); 0: one
    decay to the last epoch."""
    floor: float = Field(0.0, ge=0)
    """Learning rate at which the cosine decay ends."""


def _dotted(table: Any, prefix: str = "") -> Any:
    """Slot paths as keys: ``{heads: {rg: 5}}``, as TOML nests them, to ``{"heads.rg": 5}``."""
    if not isinstance(table, dict):
        return table
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = isinstance(value, dict)
        flat |= _dotted(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


Beta = Annotated[float, Field(ge=0, lt=1)]
PerSlot = Annotated[dict[str, Annotated[float, Field(gt=0)]], BeforeValidator(_dotted)]
"""A positive number for each of some slot paths, such as ``pair_stack`` or ``heads.rg``."""


class TripwireConfig(Section):
    """When a slot counts as starved of gradients, and what is done about it."""

    slots: tuple[str, ...] = ()
    """The slots to watch."""
    threshold: float = Field(0.01, gt=0)
    """Gradient norm below which a step is a hungry one."""
    steps: int = Field(50, ge=1)
    """Hungry steps on end after which noise is added to the slot's gradients."""
    noise: float = Field(0.01, ge=0)
    """Standard deviation of that noise."""
    halt_threshold: float = Field(0.001, ge=0)
    """Gradient norm below which a step counts towards the halt."""
    halt_steps: int = Field(500, ge=1)
    """Such steps, in all, after which training stops."""


class TrainingConfig(Section):
    """Everything that training needs to know beside data and hardware."""

    epochs: int = Field(60, ge=1)
    batch_size: int = Field(4, ge=1)
    """Proteins per forward pass."""
    accumulate: int = Field(1, ge=1)
    """Forward passes per optimizer step."""
    learning_rate: float = Field(gt=0)
    learning_rate_scale: PerSlot = {}
    """Slot path to factor of the learning rate; slots that are not named have factor 1."""
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: float = Field(0.01, ge=0)
    clip_norm: float = Field(1.0, gt=0)
    """Gradient norm limit of all parameters together that ``clip_norms`` does not name."""
    clip_norms: PerSlot = {}
    """Slot path to a gradient norm limit of its own."""
    tripwire: TripwireConfig = TripwireConfig()
    schedule: Schedule = Schedule()
    patience: int = Field(0, ge=0)
    """Epochs without a new best validation total after which training stops; 0: never."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    self_conditioning: float = Field(0.0, ge=0, le=1)
    """Share of steps that feed a first, gradient-free prediction back as self-conditioning."""
    unconditional: float = Field(0.0, ge=0, le=1)
    """Share of proteins whose every residue token is MASK (classifier-free guidance)."""
    masked_residues: float = Field(0.0, ge=0, le=1)
    """Share of residues whose token is MASK (Devlin et al. 2019), in training and in its
    validation."""
    noise_copies: int = Field(1, ge=1)
    """Noised states of each protein per step: encoder and pair stack run once, the denoiser for
    every copy."""
    random_rotations: bool = False
    """Turn the chain of every noised state at random, for denoisers that are not equivariant."""
    batch_tokens: int = Field(0, ge=0)
    """Padded residues of a forward pass at most, so that long chains come in smaller batches; the
    proteins of a step stay the same. 0: no limit."""
    max_skipped: int = Field(10, ge=1)
    """Steps on end whose losses or gradients are not finite, after which training stops."""
    sample_every: int = Field(0, ge=0)
    """Epochs between two samplings of validation chains; 0: never."""
    sample_chains: int = Field(16, ge=1)
    """How many validation chains are sampled then."""
    checkpointing: bool = False
    """Recompute activations in the backward pass: about a fifth of the memory, a quarter slower."""


class CoordinatesConfig(Section):
    """How ångström become model units."""

    scale: Literal["fixed", "rg"] = "fixed"
    """``fixed``: 10 Å per unit, since v11. ``rg``: each protein's radius of gyration is one unit,
    up to v10; sampling then takes the size that the Rg head predicts."""


class SamplingConfig(Section):
    """Defaults of the sampler."""

    steps: int = Field(50, ge=1)
    eta: float = Field(0.0, ge=0, le=1)
    """0: deterministic DDIM; 1: as stochastic as DDPM, which it is with all steps."""
    guidance: float = Field(1.0, ge=0)
    """Classifier-free guidance weight; 1 samples from the conditional model alone."""
    temperature: float = Field(1.0, gt=0)
    """Factor of the noise that sampling starts from and that its steps add; at eta 0 they add
    none."""


class Ramp(Section):
    """A loss weight that goes linearly from ``start`` at epoch 0 to ``end`` at epoch ``epochs``."""

    start: float = Field(ge=0)
    end: float = Field(ge=0)
    epochs: int = Field(ge=1)

    def at(self, epoch: int) -> float:
        """The weight in an epoch, counted from 1."""
        return self.start + (self.end - self.start) * min(epoch / self.epochs, 1.0)
