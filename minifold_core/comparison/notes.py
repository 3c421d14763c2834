"""What has to be known to read the figures of a measured comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minifold_core.comparison.differences import Row
from minifold_core.comparison.quantities import Quantities
from minifold_core.data.records import Chain
from minifold_core.evaluation.paired import FEW_CHAINS
from minifold_core.runs import WEIGHTS

BEST = WEIGHTS[0]


def notes_of(
    sides: Sequence[Quantities], rows: Sequence[Row], chains: Sequence[Chain], split: str
) -> Iterator[str]:
    """A sentence for each thing that narrows what the figures say.

    Args:
        sides: what was measured.
        rows: the differences of all pairs.
        chains: what they were measured on.
        split: which chains of the data they were measured on; empty if it is not known.
    """
    if len(sides) > 2:
        yield f"All are compared with the first, {sides[0].label}, and not with each other."
    yield from _weights(sides, split)
    if split == "train":
        yield (
            "These chains are for training: a side that was trained on them may remember them. "
            "--split validation or test asks more."
        )
    data = {each.data_digest for side in sides for each in side.trained}
    if len(data - {""}) > 1:
        yield "The sides were trained on different data."
    settings = [side.settings for side in sides if side.settings]
    if any(each != settings[0] for each in settings):
        yield "The sides are sampled with different settings, those of their recipes."
    entries = len({chain.entry for chain in chains})
    if entries < len(chains):
        yield (
            f"The {len(chains)} chains are of {entries} entries: chains of one entry are alike, "
            "which no interval allows for."
        )
    yield from _intervals(rows)


def _weights(sides: Sequence[Quantities], split: str) -> Iterator[str]:
    """Which weights of each training, where that is a choice."""
    epochs = {side.label: [each.epoch for each in side.trained] for side in sides}
    if len({epoch for own in epochs.values() for epoch in own}) > 1:
        each = "; ".join(f"{label} {', '.join(map(str, own))}" for label, own in epochs.items())
        yield f"The weights are of different epochs: {each}."
    best = [side.label for side in sides if any(each.file == BEST for each in side.trained)]
    if best:
        flatters = ", which flatters on these chains" if split == "validation" else ""
        yield f"Of {' and '.join(best)}, {BEST} is measured: chosen by validation loss{flatters}."


def _intervals(rows: Sequence[Row]) -> Iterator[str]:
    found = [row for row in rows if row.difference.interval]
    if not found:
        return
    few = any(row.difference.n < FEW_CHAINS for row in found)
    yield (
        f"Each interval is one of {len(found)}, those by noise level included, and holds at 95 % "
        "by itself: by chance one in 20 leaves out 0"
        + (f", more where it is over fewer than {FEW_CHAINS} chains." if few else ".")
    )
