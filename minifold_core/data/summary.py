"""What a packed dataset holds, as data and as text."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from minifold_core import cath
from minifold_core.data.dataset import PackedDataset
from minifold_core.data.packfile import from_bits
from minifold_core.data.packing import in_words
from minifold_core.residues import MAX_SIDECHAIN_ATOMS, SIDECHAIN_ATOMS, TOKEN_TO_ONE

BIN = 25
"""Residues per bar of the length histogram."""
BAR = 40
CLASSES = cath.CLASSES | {"6": "special"}
"""The classes of CATH, by the first number of a label; models know no special ones."""


def summarise(dataset: PackedDataset) -> dict[str, Any]:
    """Counts, lengths, splits, CATH classes, coverage, rejections and sources, ready for JSON.

    Args:
        dataset: all chains of a packed file.
    """
    file, header, lengths = dataset.file, dataset.file.header, dataset.lengths
    bins = Counter((lengths // BIN * BIN).tolist())
    tokens = file.column("tokens")
    backbone = from_bits(file.column("backbone_mask"), 4)
    side = from_bits(file.column("sidechain_mask"), MAX_SIDECHAIN_ATOMS)
    atoms = [len(SIDECHAIN_ATOMS[TOKEN_TO_ONE.get(t, "X")]) for t in range(int(tokens.max()) + 1)]
    expected = int(np.array(atoms)[tokens].sum())
    steps = np.diff(file.column("residue_index"))
    within = np.ones(len(steps), bool)
    within[file.offsets[1:-1] - 1] = False
    return {
        "path": str(file.path),
        "schema": header["schema"],
        "bytes": file.path.stat().st_size,
        "chains": len(dataset),
        "residues": int(lengths.sum()),
        "splits": dataset.splits,
        "split_from": header.get("split_from", "unknown"),
        "lengths": {
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
            "histogram": {f"{b}-{b + BIN - 1}": bins[b] for b in sorted(bins)},
        },
        "breaks": int((steps[within] > 1).sum()),
        "cropped": header.get("cropped", 0),
        "cath_classes": _cath_classes(file.cath),
        "ca_coverage": float(backbone[:, 1].mean()),
        "backbone_coverage": float(backbone.mean()),
        "chains_with_sidechains": int((np.diff(file.sidechain_offsets) > 0).sum()),
        "sidechain_coverage": float(side.sum() / max(expected, 1)),
        "rejected": header.get("rejected", {}),
        "sources": header.get("sources", []),
    }


def render(summary: dict[str, Any]) -> str:
    """The summary as lines of text."""
    lengths, count = summary["lengths"], summary["chains"]
    lines = [
        f"{summary['path']}: {count} chains, {summary['residues']} residues, "
        f"{summary['bytes'] / 1e6:.2f} MB (schema {summary['schema']})",
        f"sources     {', '.join(summary['sources']) or 'unknown'}",
        f"splits      {', '.join(f'{n} {split}' for split, n in summary['splits'].items())}"
        f" (by {summary['split_from']})",
        f"lengths     {lengths['min']}-{lengths['max']}, median {lengths['median']:g}",
        *_bars(lengths["histogram"]),
        f"backbone    {summary['ca_coverage']:.1%} of Cα, {summary['backbone_coverage']:.1%} of "
        f"N, Cα, C, O known; {summary['breaks']} chain breaks",
        f"side chains {summary['chains_with_sidechains']} of {count} chains, "
        f"{summary['sidechain_coverage']:.1%} of heavy atoms known",
        "CATH        " + in_words(summary["cath_classes"]),
        f"left out    {in_words(summary['rejected']) or 'nothing'}",
    ]
    if summary["cropped"]:
        lines.append(f"cropped     {summary['cropped']} chains: a fragment is not a fold")
    return "\n".join(lines)


def _cath_classes(labels: list[str]) -> dict[str, int]:
    """Chains per CATH class; a chain of domains of several classes counts in each."""
    counts: Counter[str] = Counter()
    for label in labels:
        numbers = sorted({domain.partition(".")[0] for domain in label.split()})
        counts.update([CLASSES.get(n, f"class {n}") for n in numbers] or ["without label"])
    return dict(counts.most_common())


def _bars(histogram: dict[str, int]) -> list[str]:
    longest = max(histogram.values())
    return [
        f"{span:>11} {'█' * max(1, round(BAR * n / longest))} {n}" for span, n in histogram.items()
    ]
