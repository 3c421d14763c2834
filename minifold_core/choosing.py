"""The best of several samples, as far as the model itself can tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from math import inf, isnan
from typing import TYPE_CHECKING

from minifold_core.errors import MinifoldError
from minifold_core.ports import CONFIDENCE_PORT

if TYPE_CHECKING:
    from minifold_core.folding import Fold
    from minifold_core.model import FoldModel

Samples = Collection[tuple[str, int]]
"""Names of targets with copy numbers."""


def gives_confidence(model: FoldModel) -> bool:
    """Whether a head of the model says what lDDT it expects of each residue of a sample."""
    return any(CONFIDENCE_PORT.name in step.gives.values() for step in model.wiring.steps)


def copy_of(draw: int, best_of: int) -> int:
    """The sample, from 1, that a draw, from 1, is drawn for."""
    return (draw - 1) // best_of + 1


def draws_of(samples: Samples, best_of: int) -> set[tuple[str, int]]:
    """Names with the numbers of all draws of these samples."""
    return {
        (name, draw)
        for name, copy in samples
        for draw in range((copy - 1) * best_of + 1, copy * best_of + 1)
    }


def choose_best(draws: Iterable[Fold], best_of: int) -> Iterator[Fold]:
    """The draw of highest mean pLDDT of every ``best_of``, as soon as the last of them is there.

    The draws for sample k of a target are those that :func:`~minifold_core.folding.fold` numbers
    ``best_of * (k - 1) + 1`` to ``best_of * k``: the same as without a choice. Of a sample only the
    best draw so far is held. Of equally sure draws the first is kept.

    Args:
        draws: the copies of every target in any order, a multiple of ``best_of`` of each.
        best_of: how many are drawn for a sample; with 1 all pass as they are.

    Returns:
        Draws with their own numbers as ``copy``, what is known of the others in ``drawn``, and the
        ``seconds`` of all of them.

    Raises:
        MinifoldError: there is no pLDDT to choose by.
    """
    if best_of == 1:
        yield from draws
        return
    best: dict[tuple[str, int], Fold] = {}
    scores: dict[tuple[str, int], dict[int, float]] = {}
    seconds: dict[tuple[str, int], float] = {}
    for draw in draws:
        score = draw.mean_plddt
        if score is None:
            raise MinifoldError(f"{draw.target.name}: the model gives no confidence to choose by")
        key = draw.target.name, copy_of(draw.copy, best_of)
        own = scores.setdefault(key, {})
        own[draw.copy] = score
        seconds[key] = seconds.get(key, 0.0) + draw.seconds
        if key not in best or _rank(draw) > _rank(best[key]):
            best[key] = draw
        if len(own) == best_of:
            drawn = tuple(own[number] for number in sorted(own))
            del scores[key]
            yield replace(best.pop(key), drawn=drawn, seconds=seconds.pop(key))


def _rank(draw: Fold) -> tuple[float, int]:
    """What is kept of two draws: the surer, then the earlier; never one that is not a number."""
    score = draw.mean_plddt
    return (-inf if score is None or isnan(score) else score), -draw.copy
