"""Pictures of predicted contacts: maps and figures against direct computations."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.plots.contacts import contact_maps, draw_contacts
from structure_samples import labelled_chains
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    return labelled_chains()


def reference_figures(chain: Chain, scores: np.ndarray) -> list[float]:
    """P, R, the precision of the L best pairs 24 or more apart, and that of the nearest ones."""
    touching = cdist(chain.ca.astype(float), chain.ca.astype(float)) < 8
    rows = [
        (scores[i, j], touching[i, j], int(chain.residue_index[j] - chain.residue_index[i]))
        for i, j in combinations(np.flatnonzero(chain.ca_mask), 2)
    ]
    judged = [(p >= 0.5, hit) for p, hit, apart in rows if apart >= 3]
    both = sum(called and hit for called, hit in judged)
    length = int(chain.ca_mask.sum())
    far = [row for row in rows if row[2] >= 24]
    best = sorted(far, reverse=True)[:length]
    shared = [0.0, 0.0]  # hits, and places left, as the pairs of each separation come in
    shared[1] = min(length, len(far))
    places = shared[1]
    for apart in sorted({row[2] for row in far}):
        level = [hit for _, hit, own in far if own == apart]
        taken = min(len(level), shared[1])
        shared = [shared[0] + taken * float(np.mean(level)), shared[1] - taken]
    return [
        both / sum(called for called, _ in judged),
        both / sum(hit for _, hit in judged),
        sum(hit for _, hit, _ in best) / len(best),
        shared[0] / places,
    ]


def test_contact_picture_shows_the_maps_and_their_figures(chains: list[Chain]) -> None:
    model = perturbed("contact").eval()
    shown = [chains[0], chains[7]]
    figure = draw_contacts(contact_maps(model, shown))
    numbers = [t.get_text() for t in figure.texts if t.get_horizontalalignment() == "right"]
    images = [axes.images[0].get_array().filled(np.nan) for axes in figure.axes[:4]]
    for row, chain in enumerate(shown):
        batch = collate([chain])
        ports = {"tokens": batch.tokens, "mask": batch.mask, "residue_index": batch.residue_index}
        with torch.no_grad():
            scores = model.part("encoder")(**ports)["contacts"][0].numpy()
        expected = reference_figures(chain, scores)
        assert numbers[4 * row : 4 * row + 4] == [f"{value:.2f}" for value in expected]
        assert 0 < expected[0] < 1
        native, predicted = images[2 * row : 2 * row + 2]
        place = {int(k): i for i, k in enumerate(chain.residue_index) if chain.ca_mask[i]}
        assert len(native) == len(predicted) == chain.residue_index[-1] + 1
        for i, j in np.ndindex(native.shape):
            if i not in place or j not in place or abs(i - j) < 3:
                assert math.isnan(native[i, j])
                assert math.isnan(predicted[i, j])
            else:
                a, b = place[i], place[j]
                assert native[i, j] == (math.dist(chain.ca[a], chain.ca[b]) < 8)
                assert predicted[i, j] == pytest.approx(scores[a, b], abs=1e-6)


def test_any_model_with_contacts_can_be_drawn(minifold: Minifold, tmp_path: Path) -> None:
    weights = save(tmp_path / "v13.safetensors", perturbed("v13"))
    names = open_dataset().subset("validation").names[1::-1]
    arguments = ("--data", "demo", "--chains", ",".join(names), "--out", tmp_path / "x.png")
    done = minifold("plot", "contacts", weights, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["chains"]
    assert tuple(chain["name"] for chain in found) == names
    assert all(0 <= chain["contact_recall"] <= 1 for chain in found)


def test_a_model_without_contacts_is_refused(chains: list[Chain]) -> None:
    model = perturbed("v13")
    for step in model.wiring.steps:
        step.gives.pop("contacts", None)
    with pytest.raises(RequestError, match="nothing in 'v13' gives port 'contacts'"):
        contact_maps(model, chains[:1])
