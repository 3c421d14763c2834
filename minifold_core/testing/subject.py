"""A component under test: one of its configs, with or without its optional ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from minifold_core.components import KINDS, SLOT_KINDS, ComponentConfig, ComponentSpec, Kind
from minifold_core.discovery import find_components
from minifold_core.errors import MinifoldError
from minifold_core.placing import model_port
from minifold_core.ports import Port
from minifold_core.recipe_tree import FULL
from minifold_core.testing.inputs import LENGTHS, Values, axes, draw

WIDTH = 16
"""Of a needed port that no installed component gives."""


class ConformanceError(MinifoldError):
    """A component lacks a property; the message names component, property and what was seen."""


def expect(holds: bool, otherwise: str) -> None:
    """Raise :class:`ConformanceError` unless ``holds``."""
    if not holds:
        raise ConformanceError(otherwise)


@dataclass(frozen=True)
class Subject:
    """A component with one config.

    Attributes:
        spec: the component.
        size: the name of the config: ``full``, a preset of the spec, or one of the author's.
        config: its settings.
        absent: optional ports that nobody gives.
    """

    spec: ComponentSpec
    size: str
    config: ComponentConfig
    absent: tuple[str, ...] = ()

    def __str__(self) -> str:
        without = f", without {' and '.join(self.absent)}" if self.absent else ""
        return f"{self.spec.kind} '{self.spec.name}' ({self.size}{without})"

    @cached_property
    def reads(self) -> tuple[Port, ...]:
        """The ports that it is given: needed, there, and not the truth's."""
        return tuple(
            port
            for port in self.config.needs()
            if port.name not in self.absent and not port.name.startswith("truth.")
        )

    @cached_property
    def widths(self) -> dict[str, int]:
        """Sizes of the last axes of what it reads, as its constructor receives them."""
        widths = {}
        for port in self.reads:
            last = axes(port)[-1]
            if last.isdigit():
                widths[port.name] = int(last)
            elif last not in "BL":
                given = givers().get(port.name)
                widths[port.name] = port.width or (given and given.width) or WIDTH
        return widths

    def values(
        self, lengths: Sequence[int] = LENGTHS, dtype: torch.dtype = torch.float64
    ) -> Values:
        """Made-up values of what it reads. In the trunk, before the denoiser, no residue misses."""
        gap = self.spec.kind not in ("encoder", "pair_stack")
        return draw(self.reads, self.widths, lengths, gap, dtype)

    def build(self, dtype: torch.dtype = torch.float64, moved: bool = True) -> Any:
        """The component from a fixed seed, its weights ``moved`` off their initial values.

        Zero-initialised layers hide what is behind them.
        """
        implementation = self.spec.implementation_class()
        if self.spec.kind in ("loss", "metric", "process"):
            return implementation(self.config)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            component = implementation(self.config, self.widths)
        return (perturb(component) if moved else component).to(dtype)

    def run(self, component: Any, values: Values) -> dict[str, Tensor]:
        """Call a network with ``values``, and None for what is absent."""
        return component(**values | dict.fromkeys(self.absent))


def perturb(module: nn.Module, scale: float = 0.3) -> nn.Module:
    """Move every weight by noise of ``scale`` over the root of its fan-in, always the same."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
            noise = noise.to(weight.device)
            weight.add_(scale * noise / max(weight.shape[-1] if weight.dim() else 1, 4) ** 0.5)
    return module


def subjects(spec: ComponentSpec, configs: Sequence[ComponentConfig] = ()) -> list[Subject]:
    """A component with its default config, its named sizes and ``configs``; each with all ports
    and, where some are optional, without those; the latter not in full if there are smaller sizes.
    """
    made = spec.config_class()
    named = {FULL: made()} | {size: made(**values) for size, values in spec.sizes.items()}
    named |= {f"own {i}": config for i, config in enumerate(configs, start=1)}
    found = []
    for size, config in named.items():
        found.append(Subject(spec, size, config))
        optional = tuple(port.name for port in config.needs() if port.optional)
        if optional and (size != FULL or not spec.sizes):
            found.append(Subject(spec, size, config, optional))
    return found


def small(spec: ComponentSpec, found: Sequence[Subject]) -> list[Subject]:
    """Without the full size, where the component has smaller ones of the same structure."""
    return [s for s in found if s.size != FULL or not spec.sizes]


def givers(kinds: Sequence[Kind] = KINDS) -> dict[str, Port]:
    """The ports that installed components of ``kinds`` give, at nano size where they have one."""
    given: dict[str, Port] = {}
    for offer in find_components().items.values():
        if offer.spec.kind not in kinds:
            continue
        paths = [p for p, kind in SLOT_KINDS.items() if kind == offer.spec.kind] or ["heads.NAME"]
        try:
            config = offer.spec.config_class()(**offer.spec.sizes.get("nano", {}))
            ports = config.gives()
        except Exception:  # a plugin that cannot be asked gives nothing
            continue
        for port in ports:
            for path in paths:
                given.setdefault(model_port(path, port.name), port)
    return given
