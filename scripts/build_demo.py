"""Build the demo set: ``python scripts/build_demo.py STRUCTURE_DIR [OUT]``.

STRUCTURE_DIR holds Protein Data Bank entries (public domain) as the named packages carry them.
Of chains that are nearly the same one is kept, and every family is on one side of the split:
validation gets five, of mainly alpha, mainly beta, mixed, and few secondary structures, none of
them longer than the longest training chain.
The result depends on the files and on this table alone, byte for byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from minifold_core.data.dataset import DEMO_PATH
from minifold_core.data.files import find_inputs
from minifold_core.data.limits import Limits
from minifold_core.data.packing import count_reasons
from minifold_core.data.packwriter import write_pack
from minifold_core.data.records import Chain, Rejection
from minifold_core.data.structures import read_structure

LIMITS = Limits(min_length=30, max_length=125)


class Source(NamedTuple):
    """A chosen chain: its name as read, its name in the demo set, family, split and package."""

    read_as: str
    name: str
    family: str
    split: str
    package: str


MUSTANG, THESEUS = "Debian mustang-testdata", "Debian theseus-examples"
PYMOL, BIOPYTHON = "Debian pymol-data", "biopython source distribution"
SOURCES = (
    Source("1zaa1.A", "1zaa.finger1", "C2H2 zinc finger", "train", MUSTANG),
    Source("1zfd.N", "1zfd.N", "C2H2 zinc finger", "train", MUSTANG),
    Source("2drp1.J", "2drp.finger1", "C2H2 zinc finger", "train", MUSTANG),
    Source("d1lfma_.A", "1lfm.A", "cytochrome c", "train", THESEUS),
    Source("d1m60a_.A", "1m60.A", "cytochrome c", "train", THESEUS),
    Source("d1crj__._", "1crj._", "cytochrome c", "train", THESEUS),
    Source("d1yeb__._", "1yeb._", "cytochrome c", "train", THESEUS),
    Source("2sdf.A", "2sdf.A", "chemokine", "train", THESEUS),
    Source("1tii.D", "1tii.D", "enterotoxin B subunit", "train", PYMOL),
    Source("1tii.C", "1tii.C", "enterotoxin A2 fragment", "train", PYMOL),
    Source("1A7G.E", "1a7g.E", "papillomavirus E2 DNA-binding domain", "train", BIOPYTHON),
    Source("1A8O.A", "1a8o.A", "HIV capsid, C-terminal domain", "train", BIOPYTHON),
    Source("4CUP.A", "4cup.A", "bromodomain", "train", BIOPYTHON),
    Source("1adz.A", "1adz.A", "Kunitz domain", "validation", THESEUS),
    Source("1hpv.A", "1hpv.A", "retroviral protease", "validation", PYMOL),
    Source("1LCD.A", "1lcd.A", "lac repressor headpiece", "validation", BIOPYTHON),
    Source("2OFG.X", "2ofg.X", "heavy-metal-associated domain", "validation", BIOPYTHON),
    Source("7CFN.G", "7cfn.G", "G protein gamma subunit", "validation", BIOPYTHON),
)


def build(directory: Path, out: Path) -> None:
    """Read every structure in ``directory`` and write the demo set to ``out``."""
    chosen = {source.read_as: source for source in SOURCES}
    read = list(_read(directory))
    rejected = [item for item in read if isinstance(item, Rejection)]
    rejected += [
        Rejection(
            item.name,
            "not_in_splits",
            "not chosen: nearly the same as a chosen chain, or one more zinc finger",
        )
        for item in read
        if isinstance(item, Chain) and item.name not in chosen
    ]
    chains = {item.name: item for item in read if isinstance(item, Chain)}
    packed = [_labelled(chains[source.read_as], source) for source in SOURCES]
    summary = {
        "split_from": "families, scripts/build_demo.py",
        "cropped": 0,
        "rejected": count_reasons(rejected),
        "sources": sorted({source.package for source in SOURCES}),
        "min_length": LIMITS.min_length,
        "max_length": LIMITS.max_length,
    }
    write_pack(out, packed, rejected, summary)


def _read(directory: Path) -> Iterator[Chain | Rejection]:
    for path, _ in find_inputs([directory]):
        yield from map(LIMITS.admit, read_structure(path))


def _labelled(chain: Chain, source: Source) -> Chain:
    entry = source.name.partition(".")[0].upper()
    where = f"PDB {entry}, {source.family} ({source.package}, {chain.provenance})"
    return replace(chain, name=source.name, split=source.split, provenance=where)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else DEMO_PATH)
