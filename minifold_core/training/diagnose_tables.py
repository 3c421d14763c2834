"""A diagnosis of training for a terminal of 80 columns."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from minifold_core.training.diagnose_record import ALL, TrainingDiagnosis

if TYPE_CHECKING:
    from rich.table import Table


def tables(found: TrainingDiagnosis) -> Iterator[Table]:
    """Slots and clipping, terms' norms, cosines on each shared slot, losses per noise bin."""
    yield _slots(found)
    yield _norms(found)
    for slot in angled_slots(found):
        yield _cosines(found, slot)
    yield _losses(found)


def verdict(found: TrainingDiagnosis) -> str:
    """Who takes the gradient, what clipping leaves the pair stack, and what the gate does."""
    largest = max(found.slots, key=lambda slot: slot.share)
    lines = [f"{largest.slot} has {_percent(largest.share)} of the squared gradient norm."]
    for slot in found.slots:
        if slot.slot == "pair_stack" and slot is not largest:
            own = f", the recipe's clips {_percent(slot.recipe_clip_kept)}"
            lines.append(
                f"Of pair_stack's gradient one clip at {found.clip_norm:g} keeps "
                f"{_percent(slot.one_clip_kept)}{own * bool(found.clip_norms)}."
            )
    if found.gate is None:
        lines.append("Frame confidence: this model has no frame gate.")
    else:
        lines.append(
            f"Frame confidence > 0.5: {_percent(found.gate.above_half)} of the noise levels; "
            f"1: {_percent(found.gate.full)}; 0: {_percent(found.gate.closed)}."
        )
    return "\n".join(lines)


def angled_slots(found: TrainingDiagnosis) -> list[str]:
    """Slots that two terms or more reach, and all together; empty if no two terms meet."""
    there = {cosine.slot for cosine in found.cosines}
    return [slot for slot in (*(slot.slot for slot in found.slots), ALL) if slot in there]


def angled_terms(found: TrainingDiagnosis, slot: str) -> list[str]:
    """The terms that have cosines on a slot, in the order of the recipe."""
    there = {term for cosine in found.cosines if cosine.slot == slot for term in cosine.terms}
    return [term for term in found.weights if term in there]


def compared_slots(found: TrainingDiagnosis) -> list[str]:
    """Slots on which terms are worth comparing: those of several, or all that are reached."""
    reached = Counter(norm.slot for norm in found.norms)
    most = min(2, max(reached.values()))
    return [slot.slot for slot in found.slots if reached[slot.slot] >= most]


def cosine_text(value: float) -> str:
    """Two digits with a sign, and no negative zero."""
    return "–" if math.isnan(value) else f"{round(value, 2) + 0.0:+.2f}"


def _slots(found: TrainingDiagnosis) -> Table:
    """Norms, shares and what clipping leaves; the recipe's clips if they differ from one clip."""
    made = _table(f"gradient by slot: mean of {len(found.chains)} chains", "slot")
    for head in ("norm", "share", f"one clip\nat {found.clip_norm:g}", "kept"):
        made.add_column(head, justify="right")
    for head in ("recipe's\nclips", "kept") if found.clip_norms else ():
        made.add_column(head, justify="right")
    for slot in found.slots:
        cells = [_norm(slot.norm), _percent(slot.share)]
        cells += [_norm(slot.one_clip), _percent(slot.one_clip_kept)]
        if found.clip_norms:
            cells += [_norm(slot.recipe_clip), _percent(slot.recipe_clip_kept)]
        made.add_row(slot.slot, *cells)
    return made


def _norms(found: TrainingDiagnosis) -> Table:
    """Norms on the slots that several terms reach; of a lone term the table of slots says all."""
    made = _table("gradient norm by term: as weighted (unweighted)", "term")
    made.add_column("weight", justify="right")
    slots = compared_slots(found)
    for slot in slots:
        made.add_column(slot, justify="right")
    known = {(norm.slot, norm.term): norm for norm in found.norms}
    for term, weight in found.weights.items():
        cells = []
        for slot in slots:
            norm = known.get((slot, term))
            cells.append(f"{_norm(norm.weighted)} ({_norm(norm.unweighted)})" if norm else "–")
        made.add_row(term, f"{weight:g}", *cells)
    return made


def _cosines(found: TrainingDiagnosis, slot: str) -> Table:
    own = {each.terms: each.mean for each in found.cosines if each.slot == slot}
    counts = {each.n for each in found.cosines if each.slot == slot}
    terms = angled_terms(found, slot)
    n = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    made = _table(f"cosine of gradients on {slot}: mean of {n} chains", "")
    made.padding = (0, 1, 0, 0)  # twelve terms fit a terminal
    for number in range(1, len(terms)):
        made.add_column(f"{number}", justify="right")
    for row, term in enumerate(terms):
        values = [own.get((other, term), math.nan) for other in terms[:row]]
        made.add_row(f"{row + 1} {term}", *(cosine_text(value) for value in values))
    return made


def _losses(found: TrainingDiagnosis) -> Table:
    made = _table("loss by noise bin, and the bin's share", "term")
    made.add_column("mean", justify="right")
    labels = list(found.losses[0].bins)
    for label in labels:
        made.add_column(label, justify="right")
    for loss in found.losses:
        cells = (f"{loss.bins[b]:.3f} {_percent(loss.shares[b], 0):>5}" for b in labels)
        made.add_row(loss.term, f"{loss.mean:.3f}", *cells, end_section=loss is found.losses[-2])
    return made


def _table(title: str, first: str) -> Table:
    from rich import box
    from rich.table import Table

    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        min_width=len(title),
    )
    made.add_column(first, no_wrap=True)
    return made


def _norm(value: float) -> str:
    """Three decimals, or what fits in their place."""
    if 0 < value < 0.01:
        return f"{value:.1e}"
    return f"{value:.3f}" if value < 100 else f"{value:.1f}"


def _percent(share: float, digits: int = 1) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f} %"
