"""Downloading PDB entries and the CATH 4.2 chain set."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from minifold_core.console import note, progress
from minifold_core.download import download
from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.files import atomic

CATH = "cath-4.2"
ENTRY_ID = re.compile(r"[0-9][a-z0-9]{3}|pdb_[0-9a-z]{8}")
RCSB_URL_VARIABLE = "MINIFOLD_RCSB_URL"
"""Environment variable naming a mirror that serves ``ID.bcif`` as models.rcsb.org does."""
CATH_URL_VARIABLE = "MINIFOLD_CATH_URL"
"""Environment variable naming a mirror of the directory that holds the CATH 4.2 files."""
CATH_URL = "http://people.csail.mit.edu/ingraham/graph-protein-design/data/cath/"
CATH_FILES: dict[str, str | None] = {
    "chain_set.jsonl": None,
    "chain_set_splits.json": None,
}
"""SHA-256 of each file of CATH 4.2 as published; None where none is published.

Without a published hash the first download is trusted: its hash is written beside it and every
later download has to match.
"""
RECORD = re.compile(rb"([0-9a-f]{64})\b")
"""How such a record begins, as ``sha256sum`` would write it."""


def fetch_entries(ids: Sequence[str], out: Path) -> list[Path]:
    """Download entries as ``ID.bcif``; one that is there already is kept.

    They come from the RCSB, or from the mirror that ``MINIFOLD_RCSB_URL`` names.

    Args:
        ids: PDB ids such as ``1ubq``.
        out: directory, made if needed.

    Returns:
        The files, old and new. What failed is noted on stderr.

    Raises:
        RequestError: an id is none.
        MinifoldError: no entry could be fetched.
    """
    ids = list(dict.fromkeys(name.lower() for name in ids))
    for name in ids:
        if not ENTRY_ID.fullmatch(name):
            raise RequestError(f"'{name}' is no PDB id; give ids such as 1ubq, or {CATH} alone")
    paths = []
    with _mirror(), progress("fetching", len(ids)) as advance:
        for name in ids:
            path = out / f"{name}.bcif"
            try:
                if not path.exists():
                    with atomic(path) as part:  # before the server is asked for it in vain
                        part.write_bytes(_entry(name))
                paths.append(path)
            except MinifoldError as error:
                note(f"{name}: {error}")
            advance(1)
    if not paths:
        raise MinifoldError(f"none of {len(ids)} entries could be fetched; see the reasons above")
    return paths


def fetch_cath(out: Path) -> list[Path]:
    """Download the CATH 4.2 chain set and its splits, checked by hash.

    They come from their publisher, or from the mirror that ``MINIFOLD_CATH_URL`` names.

    Args:
        out: directory, made if needed.

    Raises:
        MinifoldError: no connection, a file cannot be written or differs from its known hash, or
            the record of a hash cannot be read.
    """
    from minifold_core.weights.digest import file_sha256

    base = (os.environ.get(CATH_URL_VARIABLE) or CATH_URL).rstrip("/")
    paths = []
    for name, published in CATH_FILES.items():
        record = out / f"{name}.sha256"
        known = published or _recorded(record)
        try:
            path = download(f"{base}/{name}", out / name, known)
        except ProtectedError as error:
            raise MinifoldError(
                f"{error}. If the publisher changed the file, delete {record}"
            ) from None
        if known is None:
            digest = file_sha256(path)
            with atomic(record) as part:
                part.write_text(f"{digest}  {name}\n")
            note(f"{name}: no hash is published; recorded {digest[:12]}… in {record} for next time")
        paths.append(path)
    return paths


def _recorded(record: Path) -> str | None:
    """The hash that an earlier download wrote down, or None.

    Raises:
        MinifoldError: the record cannot be read or holds none, so the file cannot be checked.
    """
    try:
        found = RECORD.match(record.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MinifoldError(f"{record} cannot be read: {error.strerror}") from error
    if found is None:
        raise MinifoldError(f"{record} holds no SHA-256; delete it to trust the file unchecked")
    return found[1].decode()


@contextmanager
def _mirror() -> Iterator[None]:
    """Let biotite's RCSB client ask the mirror instead, if one is named, for the duration."""
    url = os.environ.get(RCSB_URL_VARIABLE)
    if not url:
        yield
        return
    client: Any = import_module("biotite.database.rcsb.download")
    official = client._bcif_url
    client._bcif_url = url.rstrip("/") + "/"
    try:
        yield
    finally:
        client._bcif_url = official


def _entry(name: str) -> bytes:
    """The BinaryCIF of one entry.

    Raises:
        MinifoldError: no connection, no such entry, or no BinaryCIF; one line without the id.
    """
    from biotite.database import RequestError as NoSuchEntry
    from biotite.database import rcsb
    from biotite.structure.io.pdbx import BinaryCIFFile

    try:
        content = rcsb.fetch(name, "bcif").getvalue()
    except NoSuchEntry as error:
        raise MinifoldError("the server has no such entry") from error
    except OSError as error:
        raise MinifoldError(f"cannot be fetched ({type(error).__name__})") from error
    try:
        BinaryCIFFile.read(io.BytesIO(content))
    except Exception as error:  # a foreign parser on any bytes
        raise MinifoldError("the server sent no BinaryCIF; try again") from error
    return content
