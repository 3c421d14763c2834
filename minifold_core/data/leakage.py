"""Whether chains of one split have relatives in another, by alignment of their sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from biotite.sequence import ProteinSequence

from minifold_core.console import progress
from minifold_core.data.alignment import Hit, UngappedSearch, align, e_value
from minifold_core.data.dataset import PackedDataset
from minifold_core.data.records import Chain
from minifold_core.residues import decode

E_RELATIVE = 1e-3
"""Relatives align this well: by chance, one chain in a thousand does with any of 1,800."""
MIN_UNGAPPED = 36
"""Pairs are aligned from this ungapped score on, and every chain with its best.

docs/data.md tells what it loses against aligning all pairs.
"""
QUICK = 500_000_000
"""Pairs of residues that are compared without being asked."""
COMPARED = (("validation", "train"), ("test", "train"), ("test", "validation"))
WORST = 5
"""Pairs shown in the text."""


def residue_pairs(dataset: PackedDataset) -> int:
    """How many pairs of residues :func:`check` compares."""
    splits = {split: int(dataset.subset(split).lengths.sum()) for split in _present(dataset)}
    return sum(splits.get(one, 0) * splits.get(other, 0) for one, other in COMPARED)


def check(dataset: PackedDataset) -> dict[str, Any]:
    """Search every held-out chain's nearest chain of the training split, ready for JSON.

    Also that of every test chain in the validation split. All pairs are searched without gaps, the
    promising ones aligned with them.

    Returns:
        ``relative_e`` and ``duplicates_in_train`` (training chains whose very sequence came
        before), and ``compared``: for each pair of splits its ``chains``, those
        ``with_relative``, a ``histogram`` of identity to the nearest, and ``nearest``, the pairs
        themselves, most alike first.
    """
    sequences = {split: _sequences(dataset.subset(split)) for split in _present(dataset)}
    todo = [pair for pair in COMPARED if pair[0] in sequences and pair[1] in sequences]
    train = sequences.get("train", {})
    with progress("aligning", sum(len(sequences[one]) for one, _ in todo)) as advance:
        compared = []
        for one, other in todo:
            targets = sequences[other]
            search = _Search(targets)
            rows: list[dict[str, Any]] = []
            for name, sequence in sequences[one].items():
                rows.append({"chain": name, **search.nearest(sequence)})
                advance(1)
            compared.append({"split": one, "against": other, **_counted(rows)})
    return {
        "relative_e": E_RELATIVE,
        "duplicates_in_train": len(train) - len({str(s) for s in train.values()}),
        "compared": compared,
    }


def training_relatives(chains: Sequence[Chain]) -> dict[str, str]:
    """Training chains that are related to a held-out chain: their names, and that chain's."""
    train = {c.name: ProteinSequence(c.sequence) for c in chains if c.split == "train"}
    held_out = {c.name: ProteinSequence(c.sequence) for c in chains if c.split != "train"}
    related: dict[str, str] = {}
    if not train or not held_out:
        return related
    search = _Search(train)
    with progress("aligning", len(held_out)) as advance:
        for name, sequence in held_out.items():
            for row, hit in search.hits(sequence).items():
                if e_value(hit.score, len(sequence)) <= E_RELATIVE:
                    related.setdefault(search.names[row], name)
            advance(1)
    return related


def with_relatives(chains: Iterable[Chain], others: Iterable[Chain]) -> list[str]:
    """The names of those chains that have a relative among the others, or are one of them."""
    search = _Search({chain.name: ProteinSequence(chain.sequence) for chain in others})
    nearest = {chain.name: search.nearest(ProteinSequence(chain.sequence)) for chain in chains}
    return [name for name, found in nearest.items() if found["relative"]]


def render(report: dict[str, Any] | None) -> list[str]:
    """What :func:`check` found as lines of text; ``None`` where it did not run."""
    if report is None:
        return ["relatives   between splits: not checked, the dataset is large; --leakage does"]
    if not report["compared"]:
        return ["relatives   between splits: nothing to compare, the chains are in one split"]
    lines: list[str] = []
    for part in report["compared"]:
        chains, found, against = part["chains"], part["with_relative"], part["against"]
        lines.append(
            f"{'' if lines else 'relatives':11} {found or 'none'} of {chains} {part['split']} "
            f"chains {'has' if found == 1 else 'have'} one in {against} "
            f"(E ≤ {report['relative_e']:g}); identity where the nearest aligns, however little of "
            "it: " + ", ".join(f"{span} % {n}" for span, n in part["histogram"].items())
        )
        shown = part["nearest"][: min(found, WORST)]
        lines += [f"{'':13}{_in_words(row)}" for row in shown]
        if found > WORST:
            lines.append(f"{'':13}… and {found - WORST} more, in --json")
    if any(part["with_relative"] for part in report["compared"] if part["against"] == "train"):
        lines.append(
            "warning     these chains are not new to a model trained here: scores on them flatter "
            "it. Pack again with\n            --drop-relatives, which leaves their relatives out; "
            "--json lists them."
        )
    if report["duplicates_in_train"]:
        lines.append(
            f"duplicates  {report['duplicates_in_train']} training chains repeat the sequence of "
            "another"
        )
    return lines


class _Search:
    """The nearest of some chains."""

    def __init__(self, targets: dict[str, ProteinSequence]) -> None:
        self.names, self.targets = list(targets), list(targets.values())
        self.ungapped = UngappedSearch(self.targets)

    def hits(self, sequence: ProteinSequence) -> dict[int, Hit]:
        """Alignments with the promising targets, by their place; at least with one."""
        scores = self.ungapped.scores(sequence)
        chosen = sorted({int(scores.argmax()), *np.flatnonzero(scores >= MIN_UNGAPPED).tolist()})
        return {row: align(sequence, self.targets[row]) for row in chosen}

    def nearest(self, sequence: ProteinSequence) -> dict[str, Any]:
        """The target that aligns best, and how well."""
        hits = self.hits(sequence)
        row = max(hits, key=lambda row: hits[row].score)
        expected = e_value(hits[row].score, len(sequence))
        return {
            "nearest": self.names[row],
            **vars(hits[row]),
            "e_value": expected,
            "relative": expected <= E_RELATIVE,
        }


def _counted(rows: list[dict[str, Any]]) -> dict[str, Any]:
    tens = Counter(min(int(10 * row["identity"]), 9) * 10 for row in rows)
    return {
        "chains": len(rows),
        "with_relative": sum(row["relative"] for row in rows),
        "histogram": {f"{ten}-{ten + 10}": tens[ten] for ten in sorted(tens)},
        "nearest": sorted(rows, key=lambda row: row["e_value"]),
    }


def _in_words(row: dict[str, Any]) -> str:
    return (
        f"{row['chain']} and {row['nearest']}: {row['identity']:.0%} identical over "
        f"{row['aligned']} residues ({row['coverage']:.0%} of the shorter), E {row['e_value']:.0e}"
    )


def _present(dataset: PackedDataset) -> list[str]:
    return [split for split, count in dataset.splits.items() if count]


def _sequences(dataset: PackedDataset) -> dict[str, ProteinSequence]:
    tokens, offsets = dataset.file.column("tokens"), dataset.file.offsets
    return {
        name: ProteinSequence(decode(tokens[offsets[row] : offsets[row + 1]].tolist()))
        for name, row in zip(dataset.names, dataset.rows, strict=True)
    }
