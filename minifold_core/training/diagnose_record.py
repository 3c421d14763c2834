"""What a diagnosis of training holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

ALL = "all slots"
"""The name of everything that trains, taken as one."""


@dataclass(frozen=True)
class FrameGate:
    """Shares of the noise levels, and so of the residues, by how far their frames are trusted.

    Attributes:
        above_half: confidence above 0.5.
        full: confidence 1: frames as the noised trace has them.
        closed: confidence 0: frames start as the identity.
    """

    above_half: float
    full: float
    closed: float


@dataclass(frozen=True)
class SlotBudget:
    """A slot's part in the gradient of the whole objective; means over the chains.

    Attributes:
        slot: its path.
        norm: of its gradient.
        share: of the squared norm of the gradient of all slots; they sum to one.
        one_clip: norm left if ``clip_norm`` limits all slots together, and ``one_clip_kept`` how
            much of the slot's gradient that is.
        recipe_clip: norm left by the limits of the recipe, and ``recipe_clip_kept`` likewise.
    """

    slot: str
    norm: float
    share: float
    one_clip: float
    one_clip_kept: float
    recipe_clip: float
    recipe_clip_kept: float


@dataclass(frozen=True)
class TermNorm:
    """Mean norm of a term's gradient on a slot, over the ``n`` chains that have one."""

    slot: str
    term: str
    unweighted: float
    weighted: float
    n: int


@dataclass(frozen=True)
class Cosine:
    """Cosine between two terms' gradients on a slot: mean and deviation over ``n`` chains."""

    slot: str
    terms: tuple[str, str]
    mean: float
    deviation: float
    n: int


@dataclass(frozen=True)
class TermLoss:
    """A term's mean, unweighted, over all noise levels and in each bin.

    Attributes:
        term: its name; ``total`` is the weighted sum.
        mean: over bins.
        bins: bin to mean; empty in a model without noise.
        shares: bin to its share of the sum over bins.
    """

    term: str
    mean: float
    bins: dict[str, float]
    shares: dict[str, float]


@dataclass(frozen=True)
class TrainingDiagnosis:
    """All that ``minifold diagnose`` found.

    Attributes:
        chains: names of the chains.
        seed: of the noise.
        weights: term to its weight with ramps at their end.
        clip_norm: limit of all that ``clip_norms`` does not name.
        clip_norms: slot to its own limit.
        gate: None if the model's denoiser has no frame gate.
        slots: those that train.
        norms: of every term on every slot that it reaches.
        cosines: of every two terms on every slot that both reach, and on all slots together.
        losses: of every term, and the total.
    """

    chains: tuple[str, ...]
    seed: int
    weights: dict[str, float]
    clip_norm: float
    clip_norms: dict[str, float]
    gate: FrameGate | None
    slots: tuple[SlotBudget, ...]
    norms: tuple[TermNorm, ...]
    cosines: tuple[Cosine, ...]
    losses: tuple[TermLoss, ...]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)
