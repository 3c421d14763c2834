"""The interfaces of components. Each is abstract or final: nothing is probed with ``hasattr``.

Every component is built as ``Class(config, widths)``: ``widths`` maps the name of each port that it
needs to the size of that port's last axis. ``forward`` receives exactly the ports that
``config.needs()`` names, as keywords, and returns a dict with exactly those that
``config.gives()`` names.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from minifold_core.batch import Truth
from minifold_core.components import ComponentConfig

Features = dict[str, Tensor]
"""Named tensors, the values of ports."""

Generators = Sequence[torch.Generator]
"""Sources of randomness, one per protein of a batch (the same one may stand for several)."""


class Component(nn.Module, ABC):
    """A part of a model with weights: what encoders, pair stacks, denoisers and heads share.

    Attributes:
        checkpointing: the trainer sets it to have activations recomputed in the backward pass; a
            component that is cheap may ignore it.
    """

    def __init__(self, config: ComponentConfig, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.checkpointing = False

    def run_block(self, block: nn.Module, *arguments: Any) -> Any:
        """Call ``block``; with ``checkpointing``, the backward pass recomputes its activations."""
        if self.checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(block, *arguments, use_reentrant=False)
        return block(*arguments)

    @abstractmethod
    def forward(self, *args: Any, **ports: Any) -> Features:
        """Compute the given ports from the needed ones."""


class Encoder(Component):
    """Sequence to features: gives ``single`` and, if it can, ``contacts`` or ``pair``."""


class PairStack(Component):
    """Features of residues to features of residue pairs: gives ``pair``."""


class Denoiser(Component):
    """A noised state to the structure without noise: gives ``coords``, perhaps ``rotations``.

    It needs ``coords_t`` in model units and reads the noise level from ``t`` or ``snr``.

    Attributes:
        equivariant: whether turning and shifting the state does the same to the prediction, at
            low noise at least.
    """

    equivariant: ClassVar[bool] = True

    def prepare(self, *args: Any, **trunk: Any) -> Features:
        """What it makes of the trunk alone: done once per protein, not once per noise level.

        It receives the needed ports as keywords, less ``mask`` and those of the noised state. What
        it returns, tensors [B, ...] under names of its own, ``forward`` receives beside the ports;
        without them, ``forward`` has to give the same.
        """
        return {}


class GatedDenoiser(Denoiser):
    """A denoiser that trusts the frames of a noised state only as far as the noise allows.

    Where it does not trust them whole, fixed axes take their place, and it is not equivariant.
    """

    @abstractmethod
    def confidence(self, snr: Tensor) -> Tensor:
        """[B] trust in those frames at signal-to-noise ratios [B]: 0 none, 1 full."""


class Head(Component):
    """A prediction made beside the coordinates, from trunk features or from the denoiser's."""


class PoolingHead(Head):
    """A head that reads a chain as a whole, through one vector: the chain's embedding."""

    @abstractmethod
    def pool(self, single: Tensor, mask: Tensor) -> Tensor:
        """[B, d] embeddings of chains with residue features ``single`` [B, L, d] in ``mask``."""


class Loss(ABC):
    """One term of the training objective, in model units, without weights of its own."""

    def __init__(self, config: ComponentConfig) -> None:
        self.config = config

    @abstractmethod
    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """One value per protein.

        Args:
            prediction: the ports that the loss needs, and no other.
            truth: native structures in model units.

        Returns:
            [B] in float32 or wider; 0 for a protein in which the term has nothing to measure.
        """


FLOOR = "floor_"
"""What the name of a trivial predictor's figure begins with; see :class:`Metric`."""


class Metric(ABC):
    """Figures of merit of a prediction: read by people, never trained on.

    Attributes:
        lower_is_better: the names of figures of which less is more, such as errors.
    """

    lower_is_better: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, config: ComponentConfig) -> None:
        self.config = config

    @abstractmethod
    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        """Figures by name, each [B], NaN for a protein in which there is nothing to measure.

        A figure called ``floor_NAME`` is what a trivial predictor scores in the figure ``NAME``.

        Args:
            prediction: the ports that the metric needs, and no other.
            truth: native structures in model units.
        """


class Process(ABC):
    """A noising process and the steps that undo it, on coordinates in model units.

    Times are integers, larger is noisier; training draws them uniformly. The network always
    predicts the state without noise; a process turns that into steps.

    States are variance preserving: ``x_t = √a x_0 + √(1 - a) ε`` with ``a = snr / (1 + snr)`` and ε
    of unit variance per axis, then centred. Processes that are usually written in another scale are
    brought to this one, so that a denoiser meets inputs of one kind, the signal-to-noise ratio says
    all about them, and weights can move from one process to another. What ``t`` means is each
    process's own.
    """

    def __init__(self, config: ComponentConfig) -> None:
        self.config = config

    @property
    @abstractmethod
    def timesteps(self) -> int:
        """Number of noise levels: training times are 0 ... timesteps - 1."""

    @abstractmethod
    def snr(self, t: Tensor) -> Tensor:
        """[B] signal-to-noise ratio (of variances) at times [B]."""

    @abstractmethod
    def noise(self, x0: Tensor, t: Tensor, mask: Tensor, generators: Generators) -> Tensor:
        """Noised states [B, L, 3] of centred ``x0`` [B, L, 3] at times [B]; centred, 0 off mask."""

    @abstractmethod
    def prior(self, mask: Tensor, generators: Generators) -> Tensor:
        """[B, L, 3] states of pure noise for ``mask`` [B, L], centred."""

    @abstractmethod
    def trajectory(self, steps: int) -> list[int]:
        """Descending times of a sampler with ``steps`` steps, from the noisiest.

        Raises:
            RequestError: more steps than noise levels, or fewer than one.
        """

    @abstractmethod
    def step(
        self,
        x_t: Tensor,
        x0: Tensor,
        t: int,
        s: int | None,
        mask: Tensor,
        eta: float,
        generators: Generators,
        temperature: float = 1.0,
    ) -> Tensor:
        """[B, L, 3] the state at time ``s`` < ``t``, given predicted ``x0`` (s None: no noise).

        ``eta`` is the share of the reverse process's noise that the step adds, 0 to 1;
        ``temperature`` scales that noise and nothing else.
        """
