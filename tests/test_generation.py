"""What is said of structures that are natural, and of such that are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from generation_samples import LENGTH, chain_windows, coil, helix, no_progress, rng, trace
from minifold_core.errors import RequestError
from minifold_core.evaluation.generation.figures import ABOVE, BELOW, TOO_FEW, WITHIN
from minifold_core.evaluation.generation.judge import judge_generation
from minifold_core.evaluation.generation.traces import Trace, natural_traces
from minifold_core.plots.generation import draw_pseudo_ramachandran


@pytest.fixture(scope="module")
def windows():
    return chain_windows()


@pytest.fixture(scope="module")
def natural(windows):
    return [chain for i, chain in enumerate(windows) if i % 3]


@pytest.fixture(scope="module")
def held_back(windows):
    return [Trace.of(chain, f"file{i}") for i, chain in enumerate(windows) if i % 3 == 0]


def verdicts(samples, natural) -> dict[str, str]:
    report = judge_generation(samples, natural, [], no_progress)
    return {figure.name: figure.verdict for figure in report.figures}


def test_natural_chains_are_natural(held_back, natural) -> None:
    found = verdicts(held_back, natural)
    assert len(found) == 15
    assert [name for name, verdict in found.items() if verdict != WITHIN] == []


@pytest.mark.slow
def test_each_fault_is_called_out_by_its_figure(held_back, natural) -> None:
    mirrored = [
        replace(each, backbone=each.backbone * torch.tensor([1, 1, -1])) for each in held_back
    ]
    found = verdicts(mirrored, natural)
    for name in ("pseudo_jsd", "ramachandran_jsd", "left_handed"):
        assert found.pop(name) == ABOVE
    assert found.pop("nearest_tm") in (BELOW, WITHIN)
    assert set(found.values()) == {WITHIN}  # all others are blind to the hand

    found = verdicts([trace(helix(), f"f{i}") for i in range(13)], natural)
    assert found["helix"] == found["pseudo_jsd"] == found["content_jsd"] == ABOVE
    assert found["rg_z"] == found["pairwise_tm"] == ABOVE
    assert found["contact_order"] == found["clusters"] == BELOW
    assert "ramachandran_jsd" not in found

    generator = rng()
    found = verdicts([trace(coil(generator), f"f{i}") for i in range(13)], natural)
    assert found["pseudo_jsd"] == found["clashes"] == found["coil"] == ABOVE
    assert found["helix"] == found["nearest_tm"] == BELOW

    found = verdicts([held_back[0]] * 13, natural)
    assert found["pairwise_tm"] == ABOVE
    assert found["clusters"] == BELOW

    copies = [replace(copy, source=f"f{i}") for i, copy in enumerate(natural_traces(natural)[:13])]
    assert verdicts(copies, natural)["nearest_tm"] == ABOVE

    stretched = [replace(each, backbone=1.1 * each.backbone) for each in held_back]
    assert verdicts(stretched, natural)["bonds"] == BELOW


def test_few_structures_get_no_verdict(held_back, natural) -> None:
    assert set(verdicts(held_back[:9], natural).values()) == {TOO_FEW}
    report = judge_generation(held_back[:1], natural, [], no_progress)
    assert "too few" in report.verdict
    assert "1 cluster at" in " ".join(report.notes)


def test_a_figure_without_natural_partners_stands_alone(natural) -> None:
    report = judge_generation([trace(helix(400))], natural, [], no_progress)
    assert report.partnered == frozenset()
    helical = next(figure for figure in report.figures if figure.name == "helix")
    assert helical.n == 0
    assert helical.samples > 0.9
    assert all(np.isnan(figure.natural) for figure in report.figures)


def test_the_map_of_angles_shows_all_that_there_are(held_back, natural) -> None:
    sharp = np.cumsum(3.8 * np.tile([[1.0, 0.0, 0.0], [-0.8, 0.6, 0.0]], (LENGTH // 2, 1)), 0)
    for samples, lowest in ((held_back, 60), ([trace(sharp)], 30)):
        report = judge_generation(samples, natural, [], no_progress)
        for axes in draw_pseudo_ramachandran(report).axes[:2]:
            assert axes.get_ylim() == (lowest, 180)


def test_collapsed_and_exploded_structures_are_judged(natural) -> None:
    odd = [np.zeros((LENGTH, 3)), 1e4 * rng().normal(size=(LENGTH, 3)), helix(400)]
    report = judge_generation(
        [trace(x, f"f{i}") for i, x in enumerate(odd)], natural, [], no_progress
    )
    assert len(report.rows()) == 3
    assert report.partnered == {0, 1}
    assert any("compared with none" in note for note in report.notes)


def test_no_natural_chain_is_an_error(windows) -> None:
    index = np.arange(LENGTH, dtype=np.int32) * 2
    with pytest.raises(RequestError, match="without missing residues"):
        judge_generation(
            [trace(helix())], [replace(windows[0], residue_index=index)], [], no_progress
        )
