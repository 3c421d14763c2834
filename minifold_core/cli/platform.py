"""Where to compute: the --device and --precision options."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.console import Advance
from minifold_core.errors import RequestError

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

MAX_SEED = 2**63 - 1
MALLOC_OPTIONS = {-4: 0, -1: -1, -2: 2**28}
"""glibc's M_MMAP_MAX: no block on its own pages; M_TRIM_THRESHOLD: never; M_TOP_PAD: 256 MiB."""

TRIM_EVERY = 2
"""Steps between two returns of freed memory."""

DeviceOption = Annotated[str, typer.Option(help=" | ".join(DEVICES))]
PrecisionOption = Annotated[str, typer.Option(help=" | ".join(PRECISIONS))]


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` takes CUDA if there is any, else the CPU.

    MPS has to be asked for: it has no float64, in which superpositions are computed, and minifold
    was never seen running there.

    Raises:
        RequestError: the name is unknown, or this machine has no such device.
    """
    import torch

    if name not in DEVICES:
        raise RequestError(f"--device {name}: choose {', '.join(DEVICES)}")
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = "cuda" if there["cuda"] else "cpu"
    if not there[name]:
        raise RequestError(f"--device {name}: this machine has none; use --device auto")
    if name == "cpu":
        use_fast_float32()
        keep_freed_memory()
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> str:
    """``fp32``, ``bf16`` or ``fp16``; ``auto`` is bf16 on CUDA and fp32 elsewhere.

    Raises:
        RequestError: the name is unknown.
    """
    if name not in PRECISIONS:
        raise RequestError(f"--precision {name}: choose {', '.join(PRECISIONS)}")
    if name == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    return name


def use_fast_float32() -> None:
    """Let oneDNN do float32 products: twice as fast as MKL on many CPUs, at full accuracy.

    On a CPU with AMX the same switch would round to bfloat16, so it is left alone there.
    """
    import torch

    if not torch.cpu._is_amx_tile_supported():
        torch.set_float32_matmul_precision("medium")


def keep_freed_memory() -> None:
    """Keep glibc from handing large freed blocks back to the system.

    Every step would fault them in again, which takes a third of the time of a pair block. Work of
    many shapes must use :func:`trimming` as well: its holes fit nothing, and pile up.
    """
    if mallopt := _libc("mallopt"):
        for option, value in MALLOC_OPTIONS.items():
            mallopt(option, value)


def trimming(on_step: Advance) -> Advance:
    """``on_step``, and after some steps what was freed is handed back to the system after all.

    On batches of many lengths a training of `contact` held 9 GiB after 48 steps without it, and
    went on growing; with it 5.4 GiB at the peak of 40 steps.
    """
    trim, count = _libc("malloc_trim"), itertools.count(1)

    def after(steps: int, words: str = "") -> None:
        on_step(steps, words)
        if trim and next(count) % TRIM_EVERY == 0:
            trim(0)

    return after


def _libc(name: str) -> Callable[..., int] | None:
    """A function of glibc, where that is the system's library."""
    if sys.platform != "linux":
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), name, None)
