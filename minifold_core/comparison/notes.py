"""What has to be known to read the figures of a measured comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from minifold_core.comparison.differences import Row
from minifold_core.comparison.quantities import Quantities, Trained
from minifold_core.data.records import Chain
from minifold_core.evaluation.paired import FEW_CHAINS
from minifold_core.runs import WEIGHTS
from minifold_core.weights.seen import learned_from

BEST = WEIGHTS[0]


def notes_of(
    sides: Sequence[Quantities],
    rows: Sequence[Row],
    chains: Sequence[Chain],
    split: str,
    data_digest: str = "",
) -> Iterator[str]:
    """A sentence for each thing that narrows what the figures say.

    Args:
        sides: what was measured.
        rows: the differences of all pairs.
        chains: what they were measured on.
        split: which chains of the data they were measured on; empty if it is not known.
        data_digest: SHA-256 of the data; empty if it is not known.
    """
    if len(sides) > 2:
        yield f"All are compared with the first, {sides[0].label}, and not with each other."
    trained = {side.label: side.trained for side in sides}
    yield from notes_on_weights(trained, chains, split, data_digest)
    epochs = {label: [each.epoch for each in own] for label, own in trained.items()}
    if len({epoch for own in epochs.values() for epoch in own}) > 1:
        each = "; ".join(f"{label} {', '.join(map(str, own))}" for label, own in epochs.items())
        on = [label for label, own in trained.items() if any(each.continued for each in own)]
        more = (
            f"; {' and '.join(on)} began from other weights, whose epochs come on top" if on else ""
        )
        yield f"The weights are of different epochs: {each}{more}."
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


def notes_on_weights(
    weights: Mapping[str, Sequence[Trained]],
    chains: Sequence[Chain],
    split: str,
    data_digest: str,
) -> Iterator[str]:
    """A sentence for each thing that flatters weights on the chains that they are judged on.

    Args:
        weights: what they are called to those of one training or more.
        chains: what they are judged on.
        split: which chains of the data those are; empty if it is not known.
        data_digest: SHA-256 of the data; empty if it is not known.
    """
    yield from _known(weights, chains, data_digest)
    if split == "train":
        yield (
            "These chains are for training: weights that were trained on them may remember them. "
            "--split validation or test asks more."
        )
    best = [(label, each) for label, own in weights.items() for each in own if each.file == BEST]
    if best:
        here = split == "validation" and any(each.data_digest == data_digest for _, each in best)
        flatters = ", which flatters on these chains" if here else ""
        own = " and ".join(dict.fromkeys(label for label, _ in best))
        yield f"Of {own}, {BEST} is measured: chosen by validation loss{flatters}."


def _known(
    weights: Mapping[str, Sequence[Trained]], chains: Sequence[Chain], data_digest: str
) -> Iterator[str]:
    """Which of the chains are not new to weights, said once of all that know the same."""
    labels: dict[tuple[str, ...], list[str]] = {}
    for label, trained in weights.items():
        origins = {digest for each in trained for digest in each.descent}
        if names := learned_from(origins, chains, data_digest):
            labels.setdefault(names, []).append(label)
    for names, own in labels.items():
        some = f"{len(names)} of these {len(chains)} chains ({', '.join(names)})"
        which = some if len(names) < len(chains) else f"all {len(chains)} chains"
        yield (
            f"Not new to {' and '.join(own)}: {which}. These weights, or some that they began "
            "from, learned from them or from relatives of theirs: scores on them flatter."
        )


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
