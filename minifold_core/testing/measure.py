"""Losses and metrics: one value per protein from predicted ports and the truth."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from minifold_core.batch import Truth
from minifold_core.errors import did_you_mean
from minifold_core.ports import TRUTH_PORTS
from minifold_core.testing.compare import devices, difference, finite, follows, unchanged
from minifold_core.testing.inputs import (
    LENGTHS,
    Values,
    crop,
    draw_truth,
    extreme,
    rows,
    truth_on,
    truth_rows,
)
from minifold_core.testing.network import EXACT, HUGE, SHORT, check_needs
from minifold_core.testing.subject import Subject, expect


def measured(subject: Subject, measure: Any, values: Values, truth: Truth) -> dict[str, Tensor]:
    """The figures of a metric by name, or a loss as one."""
    given = measure(values, truth)
    if subject.spec.kind == "loss":
        return {"its value": given}
    expect(isinstance(given, dict), f"it returns a {type(given).__name__}, not a dict of figures")
    return {f"figure '{name}'": value for name, value in given.items()}


def ports(subject: Subject) -> None:
    """One value per protein, from no other port than it declares."""
    check_needs(subject)
    truths = {port.name for port in TRUTH_PORTS}
    for port in subject.config.needs():
        known = not port.name.startswith("truth.") or port.name in truths
        expect(known, f"there is no port '{port.name}'; {did_you_mean(port.name, truths)}")
    values, truth = subject.values(), draw_truth()
    before = {name: value.clone() for name, value in values.items()}
    for name, value in measured(subject, subject.build(), values, truth).items():
        expect(
            tuple(value.shape) == (len(LENGTHS),),
            f"{name} has shape {tuple(value.shape)} for {len(LENGTHS)} proteins",
        )
        expect(value.dtype == torch.float64, f"{name} is {value.dtype} from float64 inputs")
    unchanged(before, values)


def padding(subject: Subject) -> None:
    """Each protein alone, and the batch reversed, have the values that they have in the batch."""
    measure, values, truth = subject.build(), subject.values(), draw_truth()
    together = measured(subject, measure, values, truth)
    order = list(reversed(range(len(LENGTHS))))
    swapped = measured(subject, measure, rows(values, order), truth_rows(truth, order))
    for name, value in together.items():
        off = difference(swapped[name], value[order])
        expect(off < EXACT, f"{name} depends on the order of the batch (by {off:.2g})")
    for i, length in enumerate(LENGTHS):
        own = crop(subject.reads, rows(values, [i]), length)
        alone = measured(subject, measure, own, truth_rows(truth, [i], length))
        for name, value in together.items():
            off = difference(alone[name], value[i : i + 1])
            expect(
                off < EXACT,
                f"{name} of protein {i + 1} differs from that of the protein alone (by {off:.2g}): "
                "padding or batch mates leak into it",
            )


def finite_values(subject: Subject) -> None:
    """Short chains, coincident and huge points; 0 where there is nothing to measure."""
    for lengths in SHORT:
        _survives(subject, lengths, 1.0, 1.0, f"for chains of {lengths}")
    for lengths in (*SHORT, LENGTHS):
        _survives(subject, lengths, 0.0, 0.0, "at coincident points, native ones too")
    _survives(subject, LENGTHS, 0.0, 1.0, "at coincident points")
    _survives(subject, LENGTHS, HUGE, 1.0, "at huge inputs")


def autocast(subject: Subject) -> None:
    """Half precision predictions, and autocast, leave values finite and in full precision."""
    for dtype in (torch.bfloat16, torch.float16):
        what = f"under {str(dtype).removeprefix('torch.')} autocast"
        for factor in (1.0, 0.0):
            with torch.autocast("cpu", dtype):
                _survives(subject, LENGTHS, factor, 1.0, what, dtype)


def _survives(
    subject: Subject,
    lengths: tuple[int, ...],
    factor: float,
    spread: float,
    what: str,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Values and gradients are finite, a loss in float32, and 0 for proteins without residues."""
    values = extreme(subject.reads, subject.values(lengths, dtype), factor)
    values = {n: x.requires_grad_() if x.is_floating_point() else x for n, x in values.items()}
    truth = draw_truth(lengths, torch.float32, spread)
    given = measured(subject, subject.build(), values, truth)
    if subject.spec.kind == "metric":
        for name, value in given.items():
            expect(not bool(value.isinf().any()), f"{name} is infinite {what}")
        return
    loss = given["its value"]
    finite("its value", loss, what)
    expect(loss.dtype == torch.float32, f"its value is {loss.dtype}, not float32, {what}")
    absent = ~truth.mask.any(1)
    expect(bool((loss[absent] == 0).all()), "its value is not 0 for a protein without residues")
    if loss.requires_grad:
        loss.sum().backward()
    for name, value in values.items():
        finite(f"the gradient of '{name}'", value.grad, what)
        still = value.grad is None or bool((value.grad[absent] == 0).all())
        expect(still, f"a protein without residues has a gradient in '{name}'")


def gradients(subject: Subject) -> None:
    """Gradients are those of the value, by finite differences in float64."""
    values, truth, loss = subject.values(), draw_truth(), subject.build()
    names = [n for n, x in values.items() if x.is_floating_point()]
    inputs = [values[name].requires_grad_() for name in names]
    value = loss(values, truth)
    expect(value.requires_grad, "it has no gradient in any of its ports")
    reached = torch.autograd.grad(value.sum(), inputs, allow_unused=True)
    for x, gradient in zip(inputs, reached, strict=True):
        x.requires_grad_(gradient is not None)  # a loss may take a port as a constant

    def call(*given: Tensor) -> Tensor:
        return loss(values | dict(zip(names, given, strict=True)), truth)

    try:
        torch.autograd.gradcheck(call, inputs, fast_mode=True)
    except GradcheckError as error:
        said = " ".join(str(error).split())[:200]
        expect(False, f"its gradient is not that of its value: {said}")


def determinism(subject: Subject) -> None:
    """Two calls agree."""
    measure, values, truth = subject.build(), subject.values(), draw_truth()
    first, second = (measured(subject, measure, values, truth) for _ in range(2))
    for name, value in first.items():
        expect(difference(second[name], value) == 0, f"{name} differs from one call to the next")


def placement(subject: Subject) -> str:
    """It computes on the device of its inputs; figures, for people, may come from the CPU."""
    measure = subject.build()
    for device in devices():
        values = {name: x.to(device) for name, x in subject.values(dtype=torch.float32).items()}
        truth = truth_on(draw_truth(dtype=torch.float32), device)
        figures = partial(measured, subject, measure, values, truth)
        follows(device, figures, results_too=subject.spec.kind == "loss")
    return ", ".join(devices())
