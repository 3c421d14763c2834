"""Predicted beside true lDDT: against plain statistics, and as ``minifold evaluate`` shows it."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import biotite.structure as struc
import numpy as np
import pytest
import torch
from biotite.structure.io import load_structure
from scipy import stats

from minifold_core.data.dataset import open_dataset
from minifold_core.evaluation.calibration import calibrate
from minifold_core.evaluation.sampling import Samples
from minifold_core.plots.calibration import draw_calibration
from picture_layout import check_layout
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]
CHAINS = list(open_dataset().subset("validation"))


def atoms(ca: np.ndarray) -> struc.AtomArray:
    array = struc.AtomArray(len(ca))
    array.coord = ca
    array.res_id = np.arange(1, len(ca) + 1)
    array.atom_name[:] = "CA"
    return array


def true_lddt(chain, trace) -> np.ndarray:
    """[L] lDDT by biotite, NaN at residues without a known Cα."""
    known = chain.ca_mask
    found = np.full(len(chain), np.nan)
    pair = atoms(chain.ca[known]), atoms(np.asarray(trace)[known])
    found[known] = struc.lddt(*pair, aggregation="residue")
    return found


@pytest.fixture(scope="module")
def samples() -> Samples:
    """Three samples a chain, each worse than the one before; pLDDT knows some of it."""
    generator = torch.Generator().manual_seed(1)
    traces, plddt = {}, {}
    for chain in CHAINS:
        native = torch.from_numpy(np.nan_to_num(chain.ca)).expand(3, -1, -1)
        noise = torch.randn(native.shape, generator=generator)
        grows = torch.linspace(0, 2, len(chain))[:, None] * torch.tensor([0.5, 1, 2])[:, None, None]
        traces[chain.name] = native + noise * grows
        guess = 0.9 - 0.25 * grows[..., 0]
        plddt[chain.name] = guess + 0.1 * torch.randn(guess.shape, generator=generator)
        plddt[chain.name].clamp_(0, 1)
    return Samples(traces, {}, 0.0, plddt)


def test_it_is_what_plain_statistics_say(samples: Samples) -> None:
    found = calibrate(CHAINS, samples)
    pairs = []
    for chain in CHAINS:
        lddt = np.stack([true_lddt(chain, trace) for trace in samples.traces[chain.name]])
        there = np.isfinite(lddt[0])
        pairs.append(np.stack([samples.plddt[chain.name].numpy(), lddt])[:, :, there])
    p, t = np.concatenate([each.reshape(2, -1) for each in pairs], 1)
    chain_p, chain_t = np.array([each.mean((1, 2)) for each in pairs]).T
    for seen, (x, y) in ((found.residues, (p, t)), (found.chains, (chain_p, chain_t))):
        assert seen.n == len(x)
        wanted = (x.mean(), y.mean(), stats.pearsonr(x, y)[0], stats.spearmanr(x, y)[0])
        wanted += (abs(x - y).mean(), abs(y.mean() - y).mean())
        values = (seen.plddt, seen.lddt, seen.pearson, seen.spearman, seen.error, seen.floor_error)
        assert values == pytest.approx(wanted, abs=1e-4)
    assert found.residues.pearson > 0.7
    assert sum(each.n for each in found.bins) == len(p)
    for each in found.bins:
        own = (p >= each.low) & ((p < each.high) | (each.high == 1))
        assert each.n == own.sum()
        if each.n:
            assert (each.plddt, each.lddt) == pytest.approx(
                (p[own].mean(), t[own].mean()), abs=1e-4
            )
    gain = [own[1].mean(1)[own[0].mean(1).argmax()] - own[1].mean() for own in pairs]
    assert found.choice is not None
    assert found.choice.mean == pytest.approx(np.mean(gain), abs=1e-4)
    assert found.choice.sign == found.clears.sign * -1 == 1
    rows = found.to_rows()
    assert len(rows) == 3 * len(CHAINS)
    assert [row["plddt"] for row in rows[:3]] == pytest.approx(pairs[0][0].mean(1), abs=1e-4)


def test_the_surest_is_what_best_of_chooses(samples: Samples) -> None:
    """By the mean over all residues; those without a known Cα, and so an lDDT, are among them."""
    chain = CHAINS[0]
    known = chain.backbone_mask.copy()
    known[: len(chain) // 2] = False
    cut = replace(chain, backbone_mask=known)
    plddt = torch.full((3, len(chain)), 0.5)
    plddt[0, len(chain) // 2 :] = 0.6  # the surest where there is a truth
    plddt[2, : len(chain) // 2] = 0.9  # the surest of all
    found = calibrate([cut], replace(samples, plddt={chain.name: plddt}))
    lddt = found.per_sample[0, :, 1]
    assert found.per_sample[0, :, 0].argmax() == 0
    assert found.choice is not None
    assert found.choice.mean == pytest.approx(lddt[2] - lddt.mean())


def test_one_number_for_all_clears_no_floor(samples: Samples) -> None:
    constant = {name: torch.full_like(each, 0.7) for name, each in samples.plddt.items()}
    found = calibrate(CHAINS, replace(samples, plddt=constant))
    assert np.isnan([found.residues.pearson, found.chains.spearman]).all()
    assert found.clears.sign >= 0
    lone = {name: each[:1] for name, each in samples.traces.items()}
    plddt = {name: each[:1] for name, each in samples.plddt.items()}
    assert calibrate(CHAINS, Samples(lone, {}, 0.0, plddt)).choice is None


def test_the_picture_can_be_read(samples: Samples) -> None:
    found = calibrate(CHAINS, samples)
    figure = draw_calibration(found)
    check_layout(figure)
    line, _ = figure.axes[0].lines
    there = [each for each in found.bins if each.n]
    np.testing.assert_allclose(line.get_ydata(), [each.lddt for each in there])


def test_evaluate_shows_it(minifold: Minifold, tmp_path: Path) -> None:
    small = {"encoder.tower_layers": 1, "pair_stack.blocks": 1, "denoiser.layers": 1}
    weights = save(tmp_path / "v15.safetensors", perturbed("v15", **small))
    out = tmp_path / "out"
    options = ["--steps", 2, "--count", 2, "--no-shuffled", "--out", out]
    done = minifold("evaluate", weights, *options, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "Spearman   error   floor" in done.stdout
    assert "pLDDT is off by" in " ".join(done.stdout.split())
    found = json.loads((out / "evaluation.json").read_text())["confidence"]
    with (out / "confidence.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (out / "confidence.png").stat().st_size > 1000
    assert found["chains"]["n"] == len(CHAINS)
    table = {(row["chain"], row["sample"]): row for row in rows}
    for chain in CHAINS:
        for sample in ("1", "2"):
            read = load_structure(out / f"{chain.name}-{sample}.pdb", extra_fields=["b_factor"])
            read = read[read.atom_name == "CA"]
            lddt = true_lddt(chain, read.coord)
            row, there = table[chain.name, sample], np.isfinite(lddt)
            assert float(row["plddt"]) == pytest.approx(read.b_factor[there].mean() / 100, abs=1e-4)
            assert float(row["lddt"]) == pytest.approx(lddt[there].mean(), abs=2e-3)
