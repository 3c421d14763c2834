"""A guard against starvation: slots whose gradients have all but vanished."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from minifold_core.errors import MinifoldError
from minifold_core.recipe_schema import TripwireConfig


class Tripwire:
    """Watches the gradient norms of some slots, stirs those that starve, and halts in the end.

    A slot starves while its norm has been below ``threshold`` for ``steps`` steps on end: its
    gradients then get normal noise of scale ``noise``. After ``halt_steps`` steps in all below
    ``halt_threshold`` stirring has not helped.
    """

    def __init__(self, config: TripwireConfig) -> None:
        self.config = config
        self.low = dict.fromkeys(config.slots, 0)
        self.dead = dict.fromkeys(config.slots, 0)

    def check(
        self,
        norms: Mapping[str, float],
        parameters: Mapping[str, Iterable[nn.Parameter]],
        generator: torch.Generator,
    ) -> dict[str, float]:
        """Act on the norms of one step, before clipping.

        Args:
            norms: slot path to gradient norm.
            parameters: slot path to the parameters whose gradients may get noise.
            generator: of the noise, on the CPU.

        Returns:
            Slot path to 1 where noise was added, else 0.

        Raises:
            MinifoldError: a slot has been dead for too long.
        """
        stirred = {}
        for slot in self.low.keys() & norms.keys():
            self.low[slot] = self.low[slot] + 1 if norms[slot] < self.config.threshold else 0
            self.dead[slot] += norms[slot] < self.config.halt_threshold
            if self.dead[slot] >= self.config.halt_steps:
                raise MinifoldError(
                    f"{slot}: gradient norm below {self.config.halt_threshold:g} in "
                    f"{self.dead[slot]} steps; it no longer learns (training.tripwire). "
                    "Give it a larger learning rate or a norm limit of its own"
                )
            starves = self.low[slot] >= self.config.steps
            stirred[slot] = float(starves)
            if starves:
                self._stir(parameters[slot], generator)
        return stirred

    def _stir(self, parameters: Iterable[nn.Parameter], generator: torch.Generator) -> None:
        for parameter in parameters:
            if parameter.grad is not None:
                noise = torch.randn(parameter.shape, generator=generator).to(parameter.grad)
                parameter.grad.add_(noise, alpha=self.config.noise)
