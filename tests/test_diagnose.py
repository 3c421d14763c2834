"""``minifold diagnose``: its numbers against gradients taken by hand, its tables, its files."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from minifold_core.cli.main import run
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.model import FoldModel
from minifold_core.plots.diagnose import draw_diagnosis
from minifold_core.training.diagnose import diagnose_training
from minifold_core.training.diagnose_record import ALL, TrainingDiagnosis
from minifold_core.training.diagnose_tables import tables, verdict
from minifold_core.training.objective import Noised, Objective
from minifold_core.training.randomness import generator
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]
SEED = 7


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    """The three shortest demo chains."""
    return sorted(open_dataset(), key=len)[:3]


@pytest.fixture(scope="module")
def model() -> FoldModel:
    return perturbed("v12b").eval()


@pytest.fixture(scope="module")
def found(model: FoldModel, chains: list[Chain]) -> TrainingDiagnosis:
    return diagnose_training(model, chains, SEED)


def gradients(model: FoldModel, chain: Chain, weights: dict[str, float]) -> dict[str, Tensor]:
    """Slot to the gradient of the weighted terms, by a plain backward pass for each noise level."""
    objective = Objective.of(model.recipe)
    single = collate([chain])
    model.zero_grad()
    for low, high in pairwise((0, 250, 500, 750, 1000)):
        own = generator(SEED, "diagnose", chain.name, low)
        noised = objective.noised(single, [own], range(low, high))
        assert isinstance(noised, Noised)
        terms = objective.terms(objective.predict(model, single, noised), single)
        torch.stack([weight / 4 * terms[name].sum() for name, weight in weights.items()]).sum(
            0
        ).backward()
    return {slot: flat_gradient(model.part(slot)) for slot in ("pair_stack", "denoiser")}


def flat_gradient(module: nn.Module) -> Tensor:
    given = (p.grad if p.grad is not None else torch.zeros_like(p) for p in module.parameters())
    return torch.cat([g.double().flatten() for g in given])


def test_norms_and_cosines_are_those_of_plain_backward_passes(
    model: FoldModel, chains: list[Chain], found: TrainingDiagnosis
) -> None:
    terms = ("fape", "frame_rot", "dist_mse")
    apart = {t: [gradients(model, chain, {t: 1.0}) for chain in chains] for t in terms}
    for slot in ("pair_stack", "denoiser"):
        for norm in (n for n in found.norms if n.slot == slot and n.term in terms):
            expected = sum(float(each[slot].norm()) for each in apart[norm.term]) / 3
            assert norm.unweighted == pytest.approx(expected, rel=1e-4)
            assert norm.weighted == pytest.approx(expected * found.weights[norm.term], rel=1e-4)
            assert norm.n == 3
    slots = {"pair_stack": ("pair_stack",), ALL: ("pair_stack", "denoiser")}
    checked = 0
    for cosine in found.cosines:
        if cosine.slot in slots and set(cosine.terms) <= set(terms):
            first, second = (
                [torch.cat([each[s] for s in slots[cosine.slot]]) for each in apart[t]]
                for t in cosine.terms
            )
            own = torch.stack(
                [torch.cosine_similarity(a, b, 0) for a, b in zip(first, second, strict=True)]
            )
            assert cosine.mean == pytest.approx(float(own.mean()), abs=1e-4)
            assert cosine.deviation == pytest.approx(float(own.std()), abs=1e-4)
            checked += 1
    assert checked == 6


def test_budgets_are_what_clipping_leaves(
    model: FoldModel, chains: list[Chain], found: TrainingDiagnosis
) -> None:
    limits = {"denoiser": 1.0, "pair_stack": 0.5}
    slots = {slot.slot: slot for slot in found.slots}
    for name, limit in limits.items():
        norms, one, own, shares = [], [], [], []
        for chain in chains:
            gradients(model, chain, found.weights)
            total = float(flat_gradient(model).norm())
            norms.append(float(flat_gradient(model.part(name)).norm()))
            shares.append((norms[-1] / total) ** 2)
            one.append(norms[-1] * min(1, 1 / total))
            own.append(min(norms[-1], limit))
        slot = slots[name]
        assert slot.norm == pytest.approx(sum(norms) / 3, rel=1e-4)
        assert slot.share == pytest.approx(sum(shares) / 3, rel=1e-4)
        assert slot.one_clip == pytest.approx(sum(one) / 3, rel=1e-4)
        assert slot.recipe_clip == pytest.approx(sum(own) / 3, rel=1e-4)
        kept = sum(o / n for o, n in zip(own, norms, strict=True)) / 3
        assert slot.recipe_clip_kept == pytest.approx(kept, rel=1e-4)
    assert sum(slot.share for slot in found.slots) == pytest.approx(1)


def test_losses_are_the_objective_in_each_noise_bin(found: TrainingDiagnosis) -> None:
    *terms, total = found.losses
    assert list(total.bins) == ["t0-250", "t250-500", "t500-750", "t750-1000"]
    for loss in found.losses:
        assert loss.mean == pytest.approx(sum(loss.bins.values()) / 4, rel=1e-5)
        assert sum(loss.shares.values()) == pytest.approx(1)
    for label, value in total.bins.items():
        weighted = sum(found.weights[loss.term] * loss.bins[label] for loss in terms)
        assert value == pytest.approx(weighted, rel=1e-5)


def test_the_frame_gate_is_the_published_share(found: TrainingDiagnosis) -> None:
    assert found.gate is not None
    assert round(found.gate.above_half, 3) == 0.577
    assert 0.2 < found.gate.closed < 0.3 < found.gate.full < found.gate.above_half


def test_the_seed_alone_decides_and_nothing_is_left_behind(
    model: FoldModel, chains: list[Chain], found: TrainingDiagnosis
) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert diagnose_training(model, chains, SEED) == found
    other = diagnose_training(model, chains, SEED + 1)
    assert other.norms != found.norms
    assert other.losses == found.losses  # validation's noise: the figures of metrics.csv
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("version", ["v8", "v10", "v14", "v15"])
def test_other_denoisers(version: str, chains: list[Chain]) -> None:
    found = diagnose_training(perturbed(version), chains[:1])
    assert sum(slot.share for slot in found.slots) == pytest.approx(1)
    assert (found.gate is None) == (version != "v14")
    assert ("no frame gate" in verdict(found)) == (version != "v14")
    assert {cosine.n for cosine in found.cosines} == {1}
    assert all(abs(cosine.mean) <= 1 + 1e-9 for cosine in found.cosines)
    assert all(math.isnan(cosine.deviation) for cosine in found.cosines)
    total = found.losses[-1]
    assert total.mean == pytest.approx(sum(total.bins.values()) / 4, rel=1e-5)


def test_a_model_without_noise_and_chains_without_labels(chains: list[Chain]) -> None:
    labelled = [replace(chains[0], cath=("1.10.8",)), replace(chains[1], cath=())]
    found = diagnose_training(perturbed("contact"), labelled)
    assert found.gate is None
    assert all(loss.bins == {} for loss in found.losses)
    counts = {norm.term: norm.n for norm in found.norms if norm.slot == "encoder"}
    assert counts == {"contact": 2, "cath_class": 1, "cath_architecture": 1}
    alone = diagnose_training(perturbed("contact"), labelled[1:])
    assert {norm.term for norm in alone.norms} == {"contact"}
    assert alone.cosines == ()
    assert [table.title for table in tables(alone)][1:] == [
        "gradient norm by term: as weighted (unweighted)",
        "loss by noise bin, and the bin's share",
    ]
    assert draw_diagnosis(alone, "").axes


@pytest.mark.parametrize("version", ["v12b", "v14"])
def test_tables_fit_eighty_columns(
    version: str, chains: list[Chain], capsys: pytest.CaptureFixture[str]
) -> None:
    found = diagnose_training(perturbed(version), chains[:1])
    for table in tables(found):
        Console(width=80).print(table)
    text = capsys.readouterr().out + verdict(found)
    assert all(len(line.rstrip()) <= 80 for line in text.splitlines())
    assert "…" not in text
    assert all(f"{slot.slot} " in text for slot in found.slots)
    assert all(text.count(term) >= 2 for term in found.weights)


def test_frozen_slots_are_left_out(chains: list[Chain]) -> None:
    frozen = perturbed("v12", **{"denoiser.frozen": True})
    assert "denoiser" not in {s.slot for s in diagnose_training(frozen, chains[:1]).slots}
    slots = ("pair_stack", "aux_pair_stack", "denoiser", "heads.rg", "heads.distance")
    still = perturbed("v12", **{f"{slot}.frozen": True for slot in slots})
    with pytest.raises(RequestError, match="nothing would train"):
        diagnose_training(still, chains[:1])


@pytest.mark.slow
def test_the_command_writes_and_repeats(
    minifold: Minifold, model: FoldModel, tmp_path: Path
) -> None:
    weights = save(tmp_path / "v12b.safetensors", model)
    options = ["--chains", 2, "--json"]
    done = minifold("diagnose", weights, *options, "--out", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["chains"]) == 2
    assert (result["model"], result["size"], result["split"]) == ("v12b", "nano", "validation")
    assert json.loads((tmp_path / "a" / "diagnosis.json").read_text()) == result
    assert matplotlib.image.imread(tmp_path / "a" / "diagnosis.png").std() > 0
    assert json.loads(minifold("diagnose", weights, *options).stdout) == result
    again = minifold("diagnose", weights, "--out", tmp_path / "a")
    assert (again.returncode, again.stdout) == (3, "")
    assert "is not empty" in again.stderr
    assert minifold("diagnose", tmp_path / "gone").returncode == 2


def test_help_is_light() -> None:
    code = (
        "import sys\nfrom minifold_core.cli.main import run\nrun(['diagnose', '--help'])\n"
        "heavy = ('torch', 'numpy', 'biotite', 'matplotlib')\n"
        "sys.exit([m for m in heavy if m in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert run(["diagnose", "--chains", "0", "x"]) == 2
