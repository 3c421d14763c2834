"""What judging found: a table, words, JSON, and a row for each structure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minifold_core.evaluation.generation.describe import Described
from minifold_core.evaluation.generation.figures import (
    ABOVE,
    BELOW,
    FEWEST,
    TOO_FEW,
    WITHIN,
    Figure,
)
from minifold_core.evaluation.generation.novelty import Nearest
from minifold_core.evaluation.generation.size import SizeLaw
from minifold_core.evaluation.tm import SAME_FOLD

if TYPE_CHECKING:
    from rich.table import Table

LABELS = {
    "pseudo_jsd": "Cα angle-dihedral JSD",
    "ramachandran_jsd": "φ-ψ JSD",
    "content_jsd": "helix-strand JSD",
    "bonds": "bonds of 3.8 ± 0.1 Å",
    "clashes": "clashes per chain",
    "rg_z": "Rg z-score",
    "rg_abs_z": "Rg |z-score|",
    "contact_order": "contact order",
    "helix": "helix",
    "strand": "strand",
    "coil": "coil",
    "left_handed": "left-handed helix",
    "pairwise_tm": "TM between structures",
    "clusters": "clusters per structure",
    "nearest_tm": "TM to nearest chain",
}
VALUES = ("bonds", "clashes", "rg", "rg_z", "contact_order", "helix", "strand", "coil")
LEGEND = (
    "matched: how many structures the figure compares, each with two natural chains of its length; "
    "with 0 it is that of the structures alone. natural 95 %: where other natural chains lie, as "
    f"many at a time; it takes {FEWEST} matched structures."
)
DISCLAIMER = (
    "No designability is claimed: nothing here tells whether any sequence folds into a structure."
)


@dataclass(frozen=True, eq=False)
class GenerationReport:
    """The figures of N samples, and what they were compared with.

    Attributes:
        figures: in the order of the table.
        samples: the N structures.
        natural: natural chains and, at the end, windows of such.
        windows: how many windows.
        partnered: rows of samples that were compared with natural chains of their length.
        law: of natural Rg; None for fewer than three lengths.
        nearest: N natural chains.
        clusters: row of each sample that was compared with others, and its cluster.
        held_out: whether the natural nearest chains are those of held-out chains.
    """

    figures: tuple[Figure, ...]
    samples: Described
    natural: Described
    windows: int
    partnered: frozenset[int]
    law: SizeLaw | None
    nearest: tuple[Nearest, ...]
    clusters: dict[int, int]
    held_out: bool

    @property
    def verdict(self) -> str:
        """Which figures are natural, in a sentence."""
        by_verdict = {
            verdict: [LABELS[f.name] for f in self.figures if f.verdict == verdict]
            for verdict in (WITHIN, ABOVE, BELOW, TOO_FEW)
        }
        judged = len(self.figures) - len(by_verdict[TOO_FEW])
        if not judged:
            return (
                f"Fewer than {FEWEST} structures, or natural chains of their lengths, in each set: "
                "too few to tell. A larger --data has natural chains of more lengths."
            )
        parts = [f"{len(by_verdict[WITHIN])} of {judged} figures are natural"]
        parts += [f"{v}: {', '.join(by_verdict[v])}" for v in (ABOVE, BELOW) if by_verdict[v]]
        return "; ".join(parts) + "."

    @property
    def notes(self) -> list[str]:
        """What a reader of the table must know, line by line."""
        count, notes = len(self.samples), []
        if alone := count - len(self.partnered):
            notes.append(
                f"{alone} of {count} structures have no two natural chains within 10 % of their "
                "length and are compared with none"
            )
        if self.windows:
            notes.append(
                f"{self.windows} windows of longer natural chains stand in for lengths that fewer "
                "than two natural chains have; a window is no fold of its own"
            )
        if self.law is None:
            notes.append("no law of size: the natural chains have fewer than three lengths")
        else:
            notes.append(str(self.law))
        groups, compared = len(set(self.clusters.values())), len(self.clusters)
        chosen = f"{compared} structure{'s' * (compared != 1)}"
        chosen += f", drawn at random from {count}" * (compared < count)
        notes.append(f"{groups} cluster{'s' * (groups != 1)} at TM {SAME_FOLD} of {chosen}")
        nearest = [row for row, found in enumerate(self.nearest) if found.name]
        if nearest:
            row = max(nearest, key=lambda row: self.nearest[row].tm)
            name, tm = self.nearest[row]
            beside = "held-out" if self.held_out else "other natural"
            mean = sum(self.nearest[row].tm for row in nearest) / len(nearest)
            most = f"{tm:.2f} ({self.samples.traces[row].name} and {name})"
            notes.append(
                f"TM to the nearest natural chain, of all {len(nearest)} structures that have one "
                f"of similar length: {mean:.2f} on average, at most {most}; the table compares "
                f"those that have partners with {beside} chains"
            )
        return notes

    def rows(self) -> list[dict[str, Any]]:
        """What is known of each structure, for a table of its own."""
        return [self._row(row) for row in range(len(self.samples))]

    def _row(self, row: int) -> dict[str, Any]:
        trace, values = self.samples.traces[row], self.samples.values
        expected = {} if self.law is None else {"rg_law": float(self.law.expected(len(trace)))}
        return (
            {"name": trace.name, "file": trace.source, "length": len(trace)}
            | {"backbone": bool(trace.mask.all()), "partnered": row in self.partnered}
            | {
                name: float(values[name][row])
                for name in (*VALUES, "left_handed")
                if name in values
            }
            | expected
            | {"cluster": self.clusters.get(row)}
            | {"nearest": self.nearest[row].name, "nearest_tm": self.nearest[row].tm}
        )

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        lengths = self.samples.lengths
        return {
            "structures": len(self.samples),
            "partnered": len(self.partnered),
            "lengths": [min(lengths), max(lengths)],
            "backbones": self.samples.backbones,
            "natural_chains": len(self.natural) - self.windows,
            "windows": self.windows,
            "figures": [figure.to_dict() for figure in self.figures],
            "size_law": self.law and asdict(self.law),
            "clusters": len(set(self.clusters.values())),
            "clustered_structures": len(self.clusters),
            "nearest_beside": "held-out chains" if self.held_out else "other natural chains",
            "verdict": self.verdict,
            "notes": self.notes,
            "designability": DISCLAIMER,
            "chains": self.rows(),
        }

    def to_table(self) -> Table:
        """For people."""
        from rich import box
        from rich.table import Table

        columns = ("", "matched", "samples", "natural", "natural 95 %", "verdict")
        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        table.caption, table.caption_justify = LEGEND, "left"
        for column in table.columns:
            column.justify, column.no_wrap = "right", True
        table.columns[0].justify = table.columns[-1].justify = "left"
        for figure in self.figures:
            span = "–" if figure.noise is None else "{} to {}".format(*map(_number, figure.noise))
            numbers = (_number(figure.samples), _number(figure.natural), span)
            table.add_row(LABELS[figure.name], str(figure.n), *numbers, figure.verdict)
        return table


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"
