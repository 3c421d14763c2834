"""The chains that the gates look at."""

from __future__ import annotations

from collections.abc import Iterable

from minifold_core.data.records import Chain
from minifold_core.errors import RequestError

SIXTEEN = 16
MIDDLE = 76
"""Residues: small enough to train on a CPU, large enough to be a fold."""
SHORTEST, LONGEST = 30, 128
RELATED = 0.1
"""Share of a chain's triplets of residues. In the demo set unrelated chains share up to 0.09 by
chance, the cytochromes c 0.24 to 0.7."""


def gate_chains(chains: Iterable[Chain]) -> list[Chain]:
    """Sixteen chains without gaps, those nearest to 76 residues first; one of each sequence.

    Their splits do not matter: what is learned by heart is not judged on other chains.

    Raises:
        RequestError: there are fewer than sixteen.
    """
    by_sequence: dict[str, Chain] = {}
    for chain in chains:
        if chain.whole and SHORTEST <= len(chain) <= LONGEST:
            by_sequence.setdefault(chain.sequence, chain)
    found = sorted(by_sequence.values(), key=lambda c: (abs(len(c) - MIDDLE), c.name))
    if len(found) < SIXTEEN:
        raise RequestError(
            f"the gates need {SIXTEEN} chains of {SHORTEST} to {LONGEST} residues without gaps; "
            f"the data have {len(found)}"
        )
    return found[:SIXTEEN]


def unrelated(chain: Chain, library: Iterable[Chain]) -> list[Chain]:
    """The chains that share less than a tenth of ``chain``'s triplets of residues.

    A relative has nearly the same fold, and would be no floor.
    """
    own = _triplets(chain)
    return [other for other in library if len(own & _triplets(other)) < RELATED * len(own)]


def _triplets(chain: Chain) -> set[str]:
    return {chain.sequence[i : i + 3] for i in range(len(chain) - 2)}
