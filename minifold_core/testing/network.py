"""Encoders, pair stacks, denoisers and heads: what their tensors and gradients must be."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from minifold_core import interfaces
from minifold_core.components import KINDS, Kind
from minifold_core.errors import did_you_mean
from minifold_core.geometry.sidechains import sidechain_atoms
from minifold_core.ports import (
    DATA_PORTS,
    FINISHED_PORTS,
    GIVEN_PORTS,
    NOISE_PORTS,
    PER_STATE,
    READ_OUT_PORTS,
    STATE_PORTS,
    Port,
)
from minifold_core.testing.compare import (
    devices,
    difference,
    finite,
    follows,
    names_of,
    unchanged,
)
from minifold_core.testing.inputs import (
    LENGTHS,
    Values,
    axes,
    crop,
    extreme,
    is_point,
    is_rotation,
    rows,
    shape,
)
from minifold_core.testing.subject import Subject, expect, givers

INTERFACES: dict[Kind, type] = {
    "encoder": interfaces.Encoder,
    "pair_stack": interfaces.PairStack,
    "denoiser": interfaces.Denoiser,
    "head": interfaces.Head,
    "loss": interfaces.Loss,
    "metric": interfaces.Metric,
    "process": interfaces.Process,
}
OWN_PORT: dict[Kind, str] = {"encoder": "single", "pair_stack": "pair", "denoiser": "coords"}
"""What every component of a kind gives."""
FINISHED = {port.name for port in FINISHED_PORTS}
SHORT = ((1,), (2,), (3,), (7, 0, 4))
"""Chains too short for a frame, and one without any known residue."""
HUGE = 1e4
"""Times an ordinary feature or distance."""
EXACT = 1e-8
"""Relative to the largest value, in float64."""


def readable(kind: Kind) -> set[str]:
    """The ports that somebody can give to a component of that kind."""
    before = KINDS if kind in ("loss", "metric") else KINDS[: KINDS.index(kind) + 1]
    there = {port.name for port in DATA_PORTS} | set(givers(before))
    there |= {port.name for port in (STATE_PORTS if kind == "denoiser" else GIVEN_PORTS)}
    if kind in ("loss", "metric"):
        there -= FINISHED
    later = {"head": READ_OUT_PORTS, "loss": NOISE_PORTS, "metric": NOISE_PORTS}
    return there | {port.name for port in later.get(kind, ())}


def check_needs(subject: Subject) -> None:
    """The class is of its kind, and somebody can give what it cannot do without."""
    kind, interface = subject.spec.kind, INTERFACES[subject.spec.kind]
    implementation = subject.spec.implementation_class()
    expect(
        isinstance(implementation, type) and issubclass(implementation, interface),
        f"{subject.spec.implementation} is no {interface.__name__}",
    )
    there = readable(kind)
    for port in subject.reads:
        known = port.name in there or port.optional
        expect(known, f"nothing gives its port '{port.name}'; {did_you_mean(port.name, there)}")


def ports(subject: Subject) -> None:
    """It gives exactly what its config says, in those shapes, and leaves its inputs alone."""
    check_needs(subject)
    declared = {port.name: port for port in subject.config.gives()}
    own = OWN_PORT.get(subject.spec.kind)
    expect(own is None or own in declared, f"a {subject.spec.kind} must give '{own}'")
    component, values = subject.build().eval(), subject.values()
    before = {name: value.clone() for name, value in values.items()}
    with torch.no_grad():
        given = subject.run(component, values)
    expect(isinstance(given, dict), f"it returns a {type(given).__name__}, not a dict of ports")
    expect(
        set(given) == set(declared),
        f"it gives {names_of(given)}; its config declares {names_of(declared)}",
    )
    for name, port in declared.items():
        actual = tuple(given[name].shape)
        width = actual[-1] if port.width is None and actual else port.width or 1
        wanted = shape(port, width, len(LENGTHS), max(LENGTHS))
        expect(
            actual == wanted and port.width in (None, actual[-1] if actual else None),
            f"'{port}' of width {port.width} has shape {actual} for {len(LENGTHS)} chains of "
            f"{max(LENGTHS)} residues",
        )
        wide = not given[name].is_floating_point() or given[name].dtype == torch.float64
        expect(wide, f"'{name}' is {given[name].dtype} though weights and inputs are float64")
    unchanged(before, values)


def prepared(subject: Subject) -> str | None:
    """What a denoiser prepares of the trunk, handed back, changes nothing."""
    component, values = subject.build().eval(), subject.values()
    asked = {name: x for name, x in values.items() if name not in PER_STATE}
    missing = dict.fromkeys(set(subject.absent) - PER_STATE)
    with torch.no_grad():
        own = component.prepare(**asked | missing)
        plain, given = subject.run(component, values), subject.run(component, values | own)
    for name, value in own.items():
        rows = value.shape[:1] == (len(LENGTHS),)
        expect(
            rows, f"'{name}', which it prepares, has shape {tuple(value.shape)}: no axis [B, ...]"
        )
    for name, value in given.items():
        off = difference(value, plain[name])
        expect(off < EXACT, f"'{name}' changes with what it prepared (by {off:.2g})")
    return None if own else "it prepares nothing"


def padding(subject: Subject) -> None:
    """Each chain alone, and the batch reversed, give what the batch gives; off the mask is zero."""
    component, values = subject.build().eval(), subject.values()
    declared = subject.config.gives()
    with torch.no_grad():
        together = subject.run(component, values)
        order = list(reversed(range(len(LENGTHS))))
        swapped = subject.run(component, rows(values, order))
        alone = [
            subject.run(component, crop(subject.reads, rows(values, [i]), length))
            for i, length in enumerate(LENGTHS)
        ]
    for port in declared:
        name, mask = port.name, values.get("mask")
        value = together[name]
        off = difference(swapped[name], value[order])
        expect(off < EXACT, f"'{name}' depends on the order of the batch (by {off:.2g})")
        for i, length in enumerate(LENGTHS):
            inside = crop([port], {name: value[i : i + 1]}, length)[name]
            off = difference(inside, alone[i][name])
            expect(
                off < EXACT,
                f"'{name}' of chain {i + 1} differs from that of the chain alone (by {off:.2g}): "
                "padding or batch mates leak into it",
            )
        if mask is not None and "L" in axes(port):
            _check_off_mask(port, value, mask)
        if name == "sidechain" and "tokens" in values:
            none = value[~sidechain_atoms(values["tokens"])]
            expect(bool((none == 0).all()), "'sidechain' is not 0 where a residue has no such atom")


def _check_off_mask(port: Port, value: Tensor, mask: Tensor) -> None:
    pairs = axes(port).count("L") == 2
    off = ~(mask[:, :, None] & mask[:, None]) if pairs else ~mask
    neutral = torch.eye(3).to(value) if is_rotation(port) else torch.zeros(()).to(value)
    what = "the identity" if is_rotation(port) else "0"
    expect(bool((value[off] == neutral).all()), f"'{port.name}' is not {what} off the mask")


def finite_values(subject: Subject) -> None:
    """Short chains, rows without residues, coincident and huge inputs: forward and backward."""
    for lengths in SHORT:
        _survives(subject, subject.values(lengths, torch.float32), f"for chains of {lengths}")
    for factor, what in ((0.0, "at coincident points and zero features"), (HUGE, "at huge inputs")):
        values = extreme(subject.reads, subject.values(dtype=torch.float32), factor)
        _survives(subject, values, what)


def autocast(subject: Subject) -> None:
    """Half precision stays finite, and what lies in space stays in full precision."""
    ordinary, far = (1.0, 0.0), (1.0, 0.0, HUGE)
    for dtype, factors in ((torch.bfloat16, far), (torch.float16, ordinary)):  # it ends at 6e4
        for factor in factors:
            values = extreme(subject.reads, subject.values(dtype=torch.float32), factor)
            what = f"under {str(dtype).removeprefix('torch.')} autocast, inputs times {factor:g}"
            with torch.autocast("cpu", dtype):
                given = _survives(subject, values, what)
            for port in subject.config.gives():
                if is_point(port) or is_rotation(port):
                    exact = given[port.name].dtype == torch.float32
                    expect(exact, f"'{port.name}' is {given[port.name].dtype} {what}")


def _survives(subject: Subject, values: Values, what: str) -> dict[str, Tensor]:
    """Outputs and all gradients are finite."""
    component = subject.build(torch.float32).train()
    values = {n: x.requires_grad_() if x.is_floating_point() else x for n, x in values.items()}
    given = subject.run(component, values)
    for name, value in given.items():
        finite(f"'{name}'", value, what)
    if backward(given):
        for name, value in values.items():
            finite(f"the gradient of '{name}'", value.grad, what)
        for name, weight in component.named_parameters():
            finite(f"the gradient of {name}", weight.grad, what)
    return given


def backward(given: dict[str, Tensor]) -> bool:
    """Send a fixed random gradient back from every output; False if none asks for any."""
    generator = torch.Generator().manual_seed(2)
    total = torch.zeros(())
    for value in given.values():
        if value.requires_grad:
            wide = value if value.dtype == torch.float64 else value.float()
            total = total + (wide * torch.randn(value.shape, generator=generator).to(wide)).sum()
    if total.requires_grad:
        total.backward()
    return total.requires_grad


def gradients(subject: Subject) -> None:
    """Every weight has a finite gradient, and recomputing activations does not change it."""
    judged = ", ".join(port.name for port in subject.reads if port.name in FINISHED)
    found = []
    for checkpointing in (False, True):
        component = subject.build().train()
        component.checkpointing = checkpointing
        with torch.random.fork_rng():
            torch.manual_seed(3)
            backward(subject.run(component, subject.values()))
        for name, weight in component.named_parameters():
            expect(
                not (judged and weight.requires_grad),
                f"{name} cannot be learned: training has no {judged}",
            )
            expect(
                weight.grad is not None or not weight.requires_grad,
                f"{name} has no gradient: no output depends on it",
            )
            finite(f"the gradient of {name}", weight.grad, "")
        found.append({n: w.grad for n, w in component.named_parameters() if w.requires_grad})
    for name, plain in found[0].items():
        off = difference(found[1][name], plain)
        expect(off < EXACT, f"with checkpointing the gradient of {name} changes (by {off:.2g})")


def determinism(subject: Subject) -> None:
    """The same seed gives the same weights and numbers; evaluation draws no random numbers."""
    first, second = subject.build(moved=False), subject.build(moved=False)
    for (name, a), b in zip(first.state_dict().items(), second.state_dict().values(), strict=True):
        expect(torch.equal(a, b), f"{name} starts differently from the same seed")
    component, values = subject.build(), subject.values()
    for mode, seeds in (("evaluation", (1, 2)), ("training", (1, 1))):
        component.train(mode == "training")
        given = []
        for seed in seeds:
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(seed)
                given.append(subject.run(component, values))
        for name, value in given[0].items():
            same = torch.equal(value, given[1][name])
            expect(same, f"'{name}' differs from one call to the next in {mode}")


def placement(subject: Subject) -> str:
    """It builds without memory, and every tensor it makes follows the device of its inputs."""
    with torch.device("meta"):
        subject.build(moved=False)
    component, values = subject.build(torch.float32).eval(), subject.values(dtype=torch.float32)
    for device in devices():
        component.to(device)
        there = {name: value.to(device) for name, value in values.items()}
        follows(device, partial(subject.run, component, there))
    return ", ".join(devices())
