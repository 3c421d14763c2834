"""The errors a user can cause, each with the exit code that the command line gives it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

LISTED = 30
"""Names at most in an error, which should stay a line or two."""


class MinifoldError(Exception):
    """Something failed (exit code 1). The message says what, where and what to do."""

    exit_code = 1


class RequestError(MinifoldError):
    """The request is wrong: unknown name, bad value, missing or unreadable input (exit 2)."""

    exit_code = 2


class ProtectedError(MinifoldError):
    """Refused, because going on would damage data or weights (exit 3)."""

    exit_code = 3


OUT_OF_MEMORY = ("out of memory", "allocate memory", "enough memory", "alloc_cpu")
"""What torch says on CUDA and MPS, and on the CPU of one system or another."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is a want of memory, of whatever device."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in OUT_OF_MEMORY)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A half-sentence naming the nearest known word, or the whole choice if none is near."""
    names = sorted(set(known))
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    rest = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"known: {', '.join(names[:LISTED])}{rest}" if names else "none is known"


VALUE_ERROR = "Value error, "
"""What pydantic, and Typer with it, puts before the words of a validator."""


def words_of(fault: Mapping[str, Any]) -> str:
    """What one of pydantic's ``errors()`` says; a validator's own words as they are."""
    said = str(fault["msg"])
    return said.removeprefix(VALUE_ERROR) if said.startswith(VALUE_ERROR) else said.lower()
