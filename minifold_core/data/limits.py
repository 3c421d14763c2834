"""Which chains are admitted to a pack by their length."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from minifold_core.data.records import Chain, Rejection
from minifold_core.errors import RequestError

MIN_LENGTH = 20
"""Below this a peptide hardly folds by itself (Trp-cage has 20 residues, zinc fingers 25-30)."""
MAX_LENGTH = 125


@dataclass(frozen=True)
class Limits:
    """The length filter.

    Attributes:
        min_length: fewest residues with a known Cα.
        max_length: most residues.
        crop: cut longer chains to a window of ``max_length`` residues, less its unknown ends,
            instead of leaving them out.
    """

    min_length: int = MIN_LENGTH
    max_length: int = MAX_LENGTH
    crop: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.min_length <= self.max_length:
            raise RequestError(
                f"length limits {self.min_length}-{self.max_length}: "
                "give 1 <= --min-length <= --max-length"
            )

    def admit(self, chain: Chain) -> Chain | Rejection:
        """The chain without its unknown ends, cropped if asked, or the reason to leave it out."""
        name, chain = chain.name, chain.trimmed()
        if not len(chain):
            return Rejection(name, "no_ca", "no Cα atom")
        if len(chain) > self.max_length:
            if not self.crop:
                return Rejection(name, "too_long", f"{len(chain)} residues")
            chain = self._crop(chain)
        if (known := int(chain.ca_mask.sum())) < self.min_length:
            return Rejection(name, "too_short", f"{known} residues with a Cα")
        return chain

    def _crop(self, chain: Chain) -> Chain:
        """A window whose place follows from the chain's name: the same in every run."""
        room = len(chain) - self.max_length + 1
        start = int.from_bytes(sha256(chain.name.encode()).digest()[:8], "big") % room
        window = chain.window(start, start + self.max_length)
        first = start + int(window.ca_mask.argmax())
        window = window.trimmed()
        mark = f"{CROPPED} {first + 1}-{first + len(window)} of {len(chain)}"
        return replace(window, provenance=f"{chain.provenance}; {mark}")


CROPPED = "cropped to residues"
"""What marks a cropped chain in its provenance."""
