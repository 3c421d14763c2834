"""``minifold sidechain``; heavy imports are inside the functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minifold_core.cli.platform import DeviceOption, choose_device

app = typer.Typer(help="Side chains: pack them onto a backbone.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Side chains: pack them onto a backbone."""


@app.command("pack")
def pack(
    file: Annotated[Path, typer.Argument(help="A PDB, mmCIF or BinaryCIF file, perhaps gzipped.")],
    out: Annotated[Path, typer.Option(help="The file to write: .pdb, .cif or .bcif.")],
    weights: Annotated[
        Path | None,
        typer.Option(metavar="RUN|FILE|ID:TAG", help="Of a packer; default those that ship."),
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Give every residue whose N, Cα and C are known all its heavy side-chain atoms.

    Side chains in the file are not seen. The backbone, chains and residue numbers of the first
    model stay; of several conformers the one of highest occupancy does. Residues that are none of
    the twenty, or lack N, Cα or C, keep the heavy atoms that they have and are named;
    selenomethionine becomes methionine. Hydrogens, ligands, water and nucleic acids are left out.
    The B-factors of side chains are 100 times the probability of the rotamer that was chosen, all
    others are 0. An existing --out is refused.
    """
    chosen = choose_device(device)
    from minifold_sidechain.pack import pack_file

    print(pack_file(file, out, weights, chosen))
