"""What the checks compare with: small helpers that say what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from minifold_core.testing.subject import ConformanceError, expect

CLOSE = 1e-4
"""Relative to the largest value, in float32."""


def difference(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest value but at least 1; NaN equals NaN."""
    if a.shape != b.shape:
        return float("inf")
    if not a.numel():
        return 0.0
    both = a.isnan() & b.isnan()
    a, b = (x.double().masked_fill(both, 0) for x in (a, b))
    off = float((a - b).abs().max() / b.abs().max().clamp(min=1))
    return off if off == off else float("inf")


def finite(what: str, value: Tensor | None, when: str) -> None:
    """Refuse a tensor that is not finite; None is."""
    expect(value is None or bool(value.isfinite().all()), f"{what} is not finite {when}".rstrip())


def unchanged(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    """Refuse inputs that were written into: other components read the same tensors."""
    for name, value in before.items():
        expect(torch.equal(value, after[name]), f"it writes into its input '{name}'")


def names_of(names: Iterable[str]) -> str:
    """Names for a sentence."""
    return ", ".join(sorted(names)) or "nothing"


def devices() -> list[str]:
    """The CPU and the accelerator that is there."""
    found = torch.accelerator.current_accelerator(check_available=True)
    return ["cpu", *([found.type] if found else [])]


def follows(
    device: str, call: Callable[[], Mapping[str, Tensor]], results_too: bool = True
) -> None:
    """Refuse a call that mixes in tensors of another device than that of its inputs.

    It runs with a default device that has no memory: what is made there mixes with nothing.

    Args:
        device: that of the inputs.
        call: the component on its inputs.
        results_too: whether the results must lie on ``device``.
    """
    fault = f"it makes a tensor on the default device, while weights and inputs are on {device}"
    with torch.no_grad():
        plain = call()
        try:
            with torch.device("meta"):
                given = call()
        except NotImplementedError:  # made there and moved: slow, but right
            return
        except RuntimeError as error:
            raise ConformanceError(f"{fault}: {str(error).splitlines()[0]}") from error
    for name, value in given.items() if results_too else ():
        on = value.device.type
        expect(on == plain[name].device.type, f"{fault}: '{name}' is on {on}")
        expect(plain[name].device.type == device, f"'{name}' is on {on}, not on {device}")
        expect(difference(value, plain[name]) < CLOSE, f"{fault}: '{name}' changes with it")
