"""How much training a run may take: seconds of steps, or a number of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from minifold_core.errors import RequestError

SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Budget:
    """What one training may take; one of the two is None.

    Attributes:
        steps: optimizer steps.
        seconds: of training steps, waiting for data included; validation is not counted.
    """

    steps: int | None = None
    seconds: int | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read ``600s``, ``10m``, ``2h`` or ``500steps``.

        Raises:
            RequestError: it says anything else.
        """
        match = re.fullmatch(r"([1-9]\d*)\s*(s|m|h|steps)", text.strip())
        if match is None:
            raise RequestError(
                f"--budget '{text}': write a whole number and s, m, h or steps, such as 600s, 10m, "
                "2h or 500steps"
            )
        number, unit = int(match[1]), match[2]
        return cls(steps=number) if unit == "steps" else cls(seconds=number * SECONDS[unit])

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.seconds is None else f"{self.seconds} s"

    def times(self, runs: float) -> str:
        """What that many runs take, in words."""
        if self.seconds is None:
            return f"{round((self.steps or 0) * runs):,} steps"
        return f"{timedelta(seconds=round(self.seconds * runs))} (h:mm:ss)"
