"""Which chain trains and which validates: from a splits file, or by a stable hash."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from minifold_core.data.files import format_of, stem_of
from minifold_core.data.records import SPLITS, Chain, entry_of
from minifold_core.errors import RequestError, did_you_mean


def find_splits(source: Path) -> Path | None:
    """The splits file beside an input: ``chain_set_splits.json`` beside ``chain_set.jsonl``,
    ``structures.tsv`` beside the directory ``structures/``.
    """
    if source.is_dir():
        directory = source.resolve()
        path = directory.with_name(f"{directory.name}.tsv")
    elif format_of(source) == "jsonl":
        path = source.with_name(f"{stem_of(source)}_splits.json")
    else:
        return None
    return path if path.is_file() else None


def read_splits(path: Path) -> dict[str, str]:
    """Chain name → split, from the JSON of CATH 4.2 or a TSV with ``name`` and ``split`` columns.

    Raises:
        RequestError: the file is neither, or it puts a chain on two sides.
    """
    try:
        text = path.read_text(encoding="utf-8")
        pairs = _of_json(text) if path.suffix.lower() == ".json" else _of_tsv(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{path}: not a splits file ({error!r}); "
            "give CATH's JSON or a TSV with columns 'name' and 'split'"
        ) from error
    table: dict[str, str] = {}
    for name, split in pairs:
        if split not in SPLITS:
            mend = did_you_mean(str(split), SPLITS)
            raise RequestError(f"{path}: '{name}' has unknown split '{split}'; {mend}")
        if table.setdefault(name, split) != split:
            raise RequestError(f"{path}: '{name}' is in both {table[name]} and {split}; keep one")
    return table


def split_of(name: str, table: Mapping[str, str]) -> str | None:
    """The split that a table gives to the chain of that name, or else to its whole entry."""
    return table.get(name) or table.get(entry_of(name))


def hash_splits(chains: Sequence[Chain], validation: float) -> dict[str, str]:
    """Chain name → train or validation, about a fraction ``validation`` of the entries.

    Chains of one entry, and entries that share an identical sequence, stay on one side; the side
    follows from their names alone, so the same chains are split alike in every run.
    """
    group: dict[str, str] = {}

    def root(key: str) -> str:
        while group.setdefault(key, key) != key:
            key = group[key]
        return key

    for chain in chains:
        one, other = sorted((root(f"entry {_entry(chain)}"), root(f"sequence {chain.sequence}")))
        group[other] = one
    held_out = (_uniform(root(f"entry {_entry(chain)}")) < validation for chain in chains)
    return {
        chain.name: "validation" if held else "train"
        for chain, held in zip(chains, held_out, strict=True)
    }


def _entry(chain: Chain) -> str:
    return chain.entry.lower()


def _uniform(key: str) -> float:
    """A number in [0, 1) that follows from ``key``."""
    return int.from_bytes(sha256(key.encode()).digest()[:8], "big") / 2**64


def _of_json(text: str) -> Iterable[tuple[str, str]]:
    splits = json.loads(text)
    return [(name, split) for split in SPLITS for name in splits[split]]


def _of_tsv(text: str) -> Iterable[tuple[str, str]]:
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return [(row["name"], row["split"]) for row in rows]
