"""Put a run's best weights, in half precision, beside the recipe of its version.

    python scripts/ship_weights.py RUN

They are then what ``init_from`` starts from, and ``ID:SIZE`` to every command, if registry.toml has
their hash or none. Evaluate them, and record them with ``record_weights.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from minifold_core.discovery import version_package
from minifold_core.weights.file import open_weights
from minifold_core.weights.io import save_weights
from minifold_core.weights.shipped import place_of

LIMIT = 5_000_000
"""Bytes: what a repository can carry."""


def main(source: str) -> None:
    file = open_weights(source)
    if file.header is None:
        sys.exit(f"{source} was not written by minifold")
    resolved = file.header.recipe["resolved"]
    target = place_of(version_package(resolved["id"]), resolved["size"])
    halves = {n: t.half() if t.is_floating_point() else t for n, t in file.load().items()}
    name = Path(file.header.data).name  # where the data lay is no one else's
    save_weights(target, halves, file.header.model_copy(update={"data": name}))
    size = target.stat().st_size
    if size > LIMIT:
        target.unlink()
        sys.exit(f"{size:,} bytes are too many to ship")
    print(f"{target.relative_to(Path.cwd())}: {size:,} bytes, epoch {file.header.epoch}")


if __name__ == "__main__":
    main(sys.argv[1])
