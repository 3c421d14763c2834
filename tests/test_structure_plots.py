"""Pictures of sampled structures: what is drawn against direct computations."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import biotite.structure as bts
import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection

from minifold_core.data.records import Chain
from minifold_core.evaluation.metrics import compare_structures
from minifold_core.plots.distances import draw_distances
from minifold_core.plots.errors import LEAST, draw_errors
from minifold_core.plots.sampled import Sampled
from minifold_core.plots.structures import save_pictures
from minifold_core.plots.traces import TOWARDS, VIEWS, draw_traces, oriented
from picture_layout import check_layout
from structure_samples import noisy_samples, two_chains


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    return two_chains()


@pytest.fixture(scope="module")
def samples(chains: list[Chain]) -> dict[str, torch.Tensor]:
    return noisy_samples(chains)


@pytest.fixture(scope="module")
def sampled(chains: list[Chain], samples: dict[str, torch.Tensor]) -> list[Sampled]:
    return [Sampled.of(chain, samples[chain.name]) for chain in chains]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return math.dist(a.tolist(), b.tolist())


def test_a_sample_is_moved_rigidly_to_where_it_scores_its_tm(
    chains: list[Chain], samples: dict[str, torch.Tensor], sampled: list[Sampled]
) -> None:
    for chain, each in zip(chains, sampled, strict=True):
        known = np.flatnonzero(chain.ca_mask)
        given = samples[chain.name].numpy()[known].astype(float)
        truth = chain.ca[known].astype(float)
        np.testing.assert_array_equal(each.place, chain.residue_index[known])
        np.testing.assert_array_equal(each.truth, truth)
        before, after = given - given.mean(0), each.sample - each.sample.mean(0)
        turn = np.linalg.lstsq(before, after, rcond=None)[0]
        np.testing.assert_allclose(turn.T @ turn, np.eye(3), atol=1e-6)
        assert np.linalg.det(turn) == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(before @ turn, after, atol=1e-4)
        errors = [distance(a, b) for a, b in zip(each.sample, truth, strict=True)]
        np.testing.assert_allclose(each.error, errors, atol=1e-9)
        d0 = max(0.5, 1.24 * max(len(known) - 15, 0) ** (1 / 3) - 1.8)
        mask = torch.from_numpy(chain.ca_mask)[None]
        ca = torch.from_numpy(chain.ca)[None]
        scores = compare_structures(samples[chain.name][None], ca, mask)
        assert np.mean([1 / (1 + (e / d0) ** 2) for e in errors]) == pytest.approx(each.tm)
        assert each.tm == pytest.approx(float(scores["tm"]))
        assert each.lddt == pytest.approx(float(scores["lddt"]))


def test_lddt_of_a_residue_counts_its_own_distances(sampled: list[Sampled]) -> None:
    for each in sampled:
        for i in range(len(each)):
            kept = [
                abs(distance(each.sample[i], each.sample[j]) - true) <= limit
                for j in range(len(each))
                if j != i and (true := distance(each.truth[i], each.truth[j])) < 15
                for limit in (0.5, 1, 2, 4)
            ]
            assert each.residue_lddt[i] == pytest.approx(np.mean(kept))


def test_maps_hold_native_above_and_sampled_below(sampled: list[Sampled]) -> None:
    figure = draw_distances(sampled)
    for axes, each in zip(figure.axes, sampled, strict=False):
        values = axes.images[0].get_array().filled(np.nan)
        rows = {int(k): i for i, k in enumerate(each.place)}
        assert len(values) == each.place[-1] + 1
        touching = np.zeros_like(values, dtype=bool)
        for i, j in np.ndindex(values.shape):
            if i not in rows or j not in rows:
                assert math.isnan(values[i, j])
                continue
            points = each.truth if i < j else each.sample
            apart = distance(points[rows[i]], points[rows[j]])
            assert values[i, j] == pytest.approx(apart, abs=1e-6)
            touching[i, j] = apart < 8 and abs(i - j) >= 3
        (outline,) = (c for c in axes.collections if isinstance(c, LineCollection))
        sides = {tuple(map(tuple, np.sort(side, 0).tolist())) for side in outline.get_segments()}
        assert sides == borders(touching)
        assert axes.get_title() == f"{each.chain.name}\nTM {each.tm:.2f}, lDDT {each.lddt:.2f}"


def borders(cells: np.ndarray) -> set[tuple[tuple[float, float], tuple[float, float]]]:
    """The sides of cells that belong to one cell that is True, numbers counting from 1."""
    count: Counter[tuple[tuple[float, float], tuple[float, float]]] = Counter()
    for row, column in np.argwhere(cells):
        x, y = column + 0.5, row + 0.5
        for corners in ((0, 0, 1, 0), (0, 1, 1, 1), (0, 0, 0, 1), (1, 0, 1, 1)):
            a, b, c, d = corners
            count[(x + a, y + b), (x + c, y + d)] += 1
    return {side for side, times in count.items() if times == 1}


def test_errors_stand_at_their_residues(sampled: list[Sampled]) -> None:
    perfect = Sampled.of(sampled[1].chain, torch.from_numpy(sampled[1].chain.ca))
    shown = [*sampled, perfect]
    figure = draw_errors(shown)
    for number, each in enumerate(shown):
        error, strip, lddt = figure.axes[3 * number : 3 * number + 3]
        for axes, values in ((error, each.error.clip(LEAST)), (lddt, each.residue_lddt)):
            x, y = axes.lines[0].get_data()
            drawn = {int(a) - 1: b for a, b in zip(x, y, strict=True) if not math.isnan(b)}
            assert drawn == dict(zip(each.place.tolist(), values, strict=True))
            assert axes.get_xlim() == strip.get_xlim()
        kinds = {"coil": set(), "helix": set(), "strand": set()}
        for bars, places in zip(strip.containers, kinds.values(), strict=True):
            places.update(round(bar.get_x() + 0.5) - 1 for bar in bars)
        assert set.union(*kinds.values()) == set(each.place.tolist())
        atoms = bts.array(
            [
                bts.Atom(point, res_id=k, atom_name="CA", res_name="ALA", element="C")
                for k, point in enumerate(each.truth)
            ]
        )
        if (np.diff(each.place) == 1).all():
            found = bts.annotate_sse(atoms)
            assert kinds["helix"] == set(each.place[found == "a"].tolist())
            assert kinds["strand"] == set(each.place[found == "b"].tolist())
        assert error.get_yscale() == "log"
        assert error.get_ylim()[1] > each.error.max()


def test_traces_are_two_views_of_one_body(sampled: list[Sampled]) -> None:
    figure = draw_traces(sampled)
    assert any(text.get_text().startswith("Two views of each") for text in figure.texts)
    views = [axes for axes in figure.axes if len(axes.collections) == 1 and not axes.lines]
    views = [axes for axes in views if isinstance(axes.collections[0], LineCollection)]
    for each, front, top in zip(sampled, views[::2], views[1::2], strict=True):
        bonded = [i for i, (a, b) in enumerate(pairwise(each.place)) if b - a == 1]
        drawn = []
        for axes in (front, top):
            (lines,) = axes.collections
            segments = np.array(lines.get_segments())
            native = np.array([np.ptp(colour[:3]) < 1e-9 for colour in lines.get_colors()])
            assert native.sum() == (~native).sum() == len(bonded)
            drawn.append((segments, native))
            box = axes.get_window_extent()
            (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
            assert (right - left) / box.width == pytest.approx((high - low) / box.height)
            assert left < segments[..., 0].min() < segments[..., 0].max() < right
            assert low < segments[..., 1].min() < segments[..., 1].max() < high
        for points, is_native in ((each.truth, True), (each.sample, False)):
            body = solid(*(segments[native == is_native] for segments, native in drawn))
            lengths = [distance(*body[i]) for i in range(len(bonded))]
            expected = [distance(points[i], points[i + 1]) for i in bonded]
            assert sorted(lengths) == pytest.approx(sorted(expected), abs=1e-4)


def solid(front: np.ndarray, top: np.ndarray) -> np.ndarray:
    """[K, 2, 3] bonds from their views (x, y) and (x, z), matched by x."""
    first, second = (view[np.lexsort(view[:, :, 0].T)] for view in (front, top))
    np.testing.assert_allclose(first[:, :, 0], second[:, :, 0], atol=1e-9)
    return np.concatenate([first, second[:, :, 1:]], -1)


def test_a_view_is_no_mirror_image(sampled: list[Sampled]) -> None:
    """The signed volume of four native Cα, right, up and towards the reader, keeps its sign."""
    for each in sampled:
        shown = oriented(each)
        for view, sign in zip(VIEWS, TOWARDS, strict=True):
            for points, turned in zip((each.truth, each.sample), shown, strict=True):
                seen = turned[:, list(view)] * [1, 1, sign]
                volumes = [np.linalg.det(np.diff(x[:4], axis=0)) for x in (points, seen)]
                assert volumes[0] == pytest.approx(volumes[1], abs=1e-6)


def test_nothing_overlaps_or_leaves_the_page(
    chains: list[Chain], samples: dict[str, torch.Tensor], sampled: list[Sampled]
) -> None:
    far = Sampled.of(chains[1], 40 * samples[chains[1].name])
    many = [*sampled, far, *sampled]
    check_layout(draw_distances(many))
    check_layout(draw_distances(sampled[:1]), fewest=10)
    check_layout(draw_errors(many))
    check_layout(draw_traces(many), fewest=12)


def test_evaluate_can_save_all_three_at_once(
    chains: list[Chain], samples: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    several = {name: torch.stack([each, each * 2]) for name, each in samples.items()}
    save_pictures(tmp_path, chains, several, "of a test")
    assert {path.name for path in tmp_path.iterdir()} == {
        "distances.png",
        "errors.png",
        "traces.png",
    }
