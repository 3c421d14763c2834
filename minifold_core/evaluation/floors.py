"""Trivial predictors: what any model must beat on the same chains before its score means anything.

None of them looks at a sequence. All take coordinates in ångström and a mask [B, L] of known Cα.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from minifold_core.errors import RequestError
from minifold_core.units import CA_CA

ONE_POINT = "one point"
COIL = "a coil of the right size"
OTHER_CHAIN = "another real chain"


def floor_predictions(
    target: Tensor,
    mask: Tensor,
    names: Sequence[str],
    library: Mapping[str, Tensor],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The predictions [B, L, 3] of every floor, by its name.

    Args:
        target: [B, L, 3] true Cα.
        mask: [B, L].
        names: B chain names.
        library: Cα traces [N, 3] of real chains by name, from which other chains are taken.
        generator: makes the floors repeatable.
    """
    return {
        ONE_POINT: one_point(target, mask),
        COIL: coil(target, mask, generator),
        OTHER_CHAIN: other_chain(mask, names, library, generator),
    }


def one_point(target: Tensor, mask: Tensor) -> Tensor:
    """[B, L, 3] every residue at the centre of the known Cα."""
    return _centre(target, mask).expand_as(target)


def coil(target: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    """[B, L, 3] freely jointed chains of 3.8 Å steps, scaled to the target's radius of gyration."""
    steps = torch.randn(target.shape, generator=generator).to(target)
    walk = (CA_CA * torch.nn.functional.normalize(steps, dim=-1)).cumsum(1)
    walk = walk - _centre(walk, mask)
    right_size = radius_of_gyration(target, mask) / radius_of_gyration(walk, mask).clamp(min=1e-6)
    return walk * right_size[:, None, None] + _centre(target, mask)


def other_chain(
    mask: Tensor, names: Sequence[str], library: Mapping[str, Tensor], generator: torch.Generator
) -> Tensor:
    """[B, L, 3] a window, at random, of a real chain that comes from another entry.

    The chain is drawn among those that are long enough. For a target longer than all others, chains
    are drawn among all and joined end to end.

    Raises:
        RequestError: the library has no chain of another entry.
    """
    predictions = torch.zeros(*mask.shape, 3)
    for row, name in enumerate(names):
        length = int(mask[row].sum())
        others = [chain for key, chain in library.items() if entry(key) != entry(name)]
        if not others:
            raise RequestError(f"{name}: no chain of another entry to compare with; add more data")
        long_enough = [chain for chain in others if len(chain) >= length] or others
        trace = _draw(long_enough, generator)
        while len(trace) < length:
            more = _draw(others, generator)
            step = trace.new_tensor([CA_CA, 0.0, 0.0])
            trace = torch.cat([trace, more - more[0] + trace[-1] + step])
        start = _randint(len(trace) - length + 1, generator)
        predictions[row, mask[row].cpu()] = trace[start : start + length]
    return predictions.to(mask.device)


def entry(name: str) -> str:
    """The entry that a chain belongs to: ``1abc.A``, ``1abc_B`` and ``1ABC`` are all of ``1abc``."""
    return name.replace("_", ".").split(".")[0].lower()


def radius_of_gyration(x: Tensor, mask: Tensor) -> Tensor:
    """[B] root mean square distance of the known points of [B, L, 3] from their centre."""
    squared = (x - _centre(x, mask)).square().sum(-1)
    return ((squared * mask).sum(1) / mask.sum(1).clamp(min=1)).sqrt()


def _centre(x: Tensor, mask: Tensor) -> Tensor:
    known = mask[..., None].to(x)
    return (x * known).sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1)


def _draw(chains: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    return chains[_randint(len(chains), generator)].float().cpu()


def _randint(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
