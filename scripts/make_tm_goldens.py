"""Make tests/golden/tm_scores.npz: pairs of Cα traces and what the program TMscore says of them.

    python scripts/make_tm_goldens.py

The real traces are those of the demo set (Protein Data Bank, public domain) and pieces of them. The
program is carried by Debian's package ``tm-align``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from minifold_core.data.dataset import open_dataset
from minifold_core.structures import write_structure
from minifold_core.units import CA_CA

GOLDENS = Path(__file__).parents[1] / "tests" / "golden" / "tm_scores.npz"
SHORT = {20: "1crj._", 25: "2ofg.X", 30: "1hpv.A", 40: "4cup.A"}
"""Length of each piece, and the chain that it is the middle of."""
MIRROR = np.array([1.0, 1.0, -1.0])


def run_tmscore(pred: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """TM-score, GDT-TS and GDT-HA of Cα traces [L, 3] in Å by the program TMscore."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / "pred.pdb", Path(folder) / "target.pdb"]
        for file, trace in zip(files, (pred, target), strict=True):
            write_structure(file, trace, "A" * len(trace))
        out = subprocess.run(["TMscore", *files], capture_output=True, text=True, check=True).stdout
    found = [
        re.search(pattern, out)
        for pattern in (
            r"TM-score +=\s*([\d.]+)",
            r"GDT-TS-score=\s*([\d.]+)",
            r"GDT-HA-score=\s*([\d.]+)",
        )
    ]
    assert all(found), out
    return tuple(float(match[1]) for match in found if match)


def helix(length: int) -> np.ndarray:
    turn = np.radians(100) * np.arange(length)
    return np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(length)], -1)


def strand(length: int) -> np.ndarray:
    place = np.arange(length)
    return np.stack([0.9 * (-1.0) ** place, np.zeros(length), 3.3 * place], -1)


def coil(length: int, rng: np.random.Generator) -> np.ndarray:
    """A chain of 3.8 Å steps that keeps 4 Å between residues that are not neighbours."""
    trace = [np.zeros(3)]
    while len(trace) < length:
        step = rng.normal(size=3)
        new = trace[-1] + CA_CA * step / np.linalg.norm(step)
        if len(trace) < 2 or np.linalg.norm(np.array(trace[:-1]) - new, axis=1).min() > 4:
            trace.append(new)
    return np.array(trace)


def hinged(trace: np.ndarray, degrees: float) -> np.ndarray:
    """The second half of the chain turned about the middle residue."""
    half, angle = len(trace) // 2, np.radians(degrees)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    return np.vstack([trace[:half], (trace[half:] - trace[half]) @ turn.T + trace[half]])


def make_targets(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Name -> trace."""
    targets = {chain.name: chain.ca[chain.ca_mask].astype(float) for chain in open_dataset("demo")}
    for length, name in SHORT.items():
        start = (len(targets[name]) - length) // 2
        targets[f"{length} of {name}"] = targets[name][start : start + length]
    return targets | {"helix 25": helix(25), "strand 12": strand(12), "coil 60": coil(60, rng)}


def make_pairs() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name -> (prediction, target): eight predictions of each target."""
    rng = np.random.default_rng(20)
    targets = make_targets(rng)
    names, pairs = list(targets), {}
    for place, (name, trace) in enumerate(targets.items()):
        for sigma in (0.1, 1.0, 4.0):
            noise = rng.normal(scale=sigma, size=trace.shape)
            pairs[f"{name} with {sigma} Å of noise"] = (trace + noise, trace)
        pairs[f"{name} hinged"] = (hinged(trace, 60), trace)
        pairs[f"{name} mirrored"] = (trace * MIRROR, trace)
        pairs[f"a coil for {name}"] = (coil(len(trace), rng), trace)
        pairs[f"a helix for {name}"] = (helix(len(trace)), trace)
        # The next one: a near relative for some of the fingers and cytochromes, else another fold.
        other = names[(place + 1) % len(names)]
        length = min(len(trace), len(targets[other]))
        pairs[f"{other} for {name}"] = (targets[other][:length], trace[:length])
    return pairs


def main() -> None:
    if not shutil.which("TMscore"):
        sys.exit(f"{__doc__}\nIt needs the program TMscore.")
    pairs = make_pairs()
    # Thousandths of an ångström, the precision of the files that TMscore reads.
    stored = [np.stack(pair).round(3) for pair in pairs.values()]
    scores = np.array([run_tmscore(pred, target) for pred, target in stored])
    GOLDENS.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        GOLDENS,
        names=np.array(list(pairs)),
        lengths=np.array([pair.shape[1] for pair in stored]),
        milliangstrom=np.concatenate([(p * 1000).round() for p in stored], 1).astype(np.int32),
        tm=scores[:, 0],
        gdt_ts=scores[:, 1],
        gdt_ha=scores[:, 2],
    )
    print(f"{len(pairs)} pairs, {GOLDENS.stat().st_size / 1000:.0f} kB: {GOLDENS}")


if __name__ == "__main__":
    main()
