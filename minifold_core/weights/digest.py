"""The hash that a weights file carries of itself.

It is the SHA-256 of all bytes of the file, tensors, metadata and layout alike, with the 64 digits
of the hash itself taken as zeros. The digits stand in the safetensors metadata under :data:`KEY`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from minifold_core.errors import RequestError
from minifold_core.weights.layout import LENGTH

KEY = "minifold_sha256"
BLANK = "0" * 64
_MARK = f'"{KEY}":"'.encode()
_CHUNK = 1 << 20


def stamp(path: Path) -> None:
    """Write the hash into a finished file whose metadata holds :data:`BLANK` under :data:`KEY`."""
    digest, place = _digest(path)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(digest.encode())


def check(path: Path, recorded: str) -> None:
    """Compare a file with the hash that it carries.

    Raises:
        RequestError: they differ, so the file is not what was written.
    """
    try:
        digest, _ = _digest(path)
    except OSError as error:
        raise RequestError(f"weights {path} cannot be read: {error.strerror}") from None
    if digest != recorded:
        raise RequestError(
            f"{path} is damaged: its content does not match the hash it carries; copy it again "
            "from where it came from"
        )


def _digest(path: Path) -> tuple[str, int]:
    """The hash of a file and the place of its digits."""
    with path.open("rb") as file:
        length = file.read(LENGTH)
        header = file.read(int.from_bytes(length, "little"))
        place = header.find(_MARK) + len(_MARK)
        total = hashlib.sha256(length)
        total.update(header[:place] + BLANK.encode() + header[place + len(BLANK) :])
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest(), LENGTH + place


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file as it lies there, which ``sha256sum`` prints too."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
