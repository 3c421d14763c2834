"""Pictures of angles against direct computations, and the commands that draw structures."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import biotite.structure as bts
import matplotlib.image
import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from minifold_core.cli.main import run
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.evaluation.metrics import tm_score
from minifold_core.evaluation.noise_levels import noise_levels
from minifold_core.plots.ramachandran import (
    AngleSet,
    Structure,
    draw_ramachandran,
    native_structures,
    single_steps,
)
from picture_layout import check_layout
from structure_samples import noisy_samples, two_chains
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    return two_chains()


@pytest.fixture(scope="module")
def samples(chains: list[Chain]) -> dict[str, torch.Tensor]:
    return noisy_samples(chains)


@pytest.fixture(scope="module")
def v14(minifold: Minifold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step of a model that places backbones."""
    directory = tmp_path_factory.mktemp("runs") / "v14-run"
    done = minifold("train", "v14", "--size", "nano", "--max-steps", 1, "--run-dir", directory)
    assert done.returncode == 0, done.stderr
    return directory


def test_histograms_count_the_angles_of_whole_windows(
    chains: list[Chain], samples: dict[str, torch.Tensor]
) -> None:
    rng = np.random.default_rng(0)
    others = {
        chain.name: Structure(
            samples[chain.name],
            torch.from_numpy(chain.backbone + rng.normal(size=chain.backbone.shape) * 0.4),
        )
        for chain in chains
    }
    sets = [AngleSet.of("native", chains, native_structures(chains))]
    sets += [AngleSet.of(name, chains, others) for name in ("one", "other")]
    figure = draw_ramachandran(sets)
    maps = [axes for axes in figure.axes if axes.images]
    native = None
    for number, structures in enumerate([native_structures(chains), others, others]):
        pseudo, backbone = Counter(), Counter()
        for chain in chains:
            pseudo.update(pseudo_bins(chain, structures[chain.name].ca.numpy()))
            backbone.update(backbone_bins(chain, structures[chain.name].backbone.numpy()))
        counts = as_grid(pseudo, (18, 36)), as_grid(backbone, (36, 36)).T
        native = native or counts
        for axes, found, true in zip((maps[number], maps[3 + number]), counts, native, strict=True):
            drawn = axes.images[0].get_array() ** 2
            np.testing.assert_allclose(drawn, 100 * found / found.sum(), atol=1e-9)
            bits = jensenshannon(found.ravel(), true.ravel(), base=2) ** 2
            assert axes.get_title().splitlines()[-1] == f"JSD {bits:.3f} bits"
            assert axes.images[0].get_clim() == maps[3 * (axes in maps[3:])].images[0].get_clim()
    assert figure.axes.index(maps[0]) == 0


def test_titles_do_not_overlap(chains: list[Chain]) -> None:
    sets = [
        AngleSet.of(f"single step from the native\nchains noised to t = {n}", chains, structures)
        for n, structures in enumerate([native_structures(chains)] * 3)
    ]
    check_layout(draw_ramachandran(sets))
    check_layout(draw_ramachandran([replace(each, backbone=None) for each in sets]))


def pseudo_bins(chain: Chain, ca: np.ndarray) -> list[tuple[int, int]]:
    ca = ca.astype(float)
    found = []
    for i in range(len(chain) - 3):
        four = slice(i, i + 4)
        if chain.ca_mask[four].all() and (np.diff(chain.residue_index[four]) == 1).all():
            a, b, c, d = ca[four]
            found.append((np.rad2deg(bts.angle(a, b, c)), np.rad2deg(bts.dihedral(a, b, c, d))))
    return [(int(bend // 10), int((turn + 180) // 10)) for bend, turn in found]


def backbone_bins(chain: Chain, atoms: np.ndarray) -> list[tuple[int, int]]:
    atoms, known = atoms.astype(float), chain.backbone_mask
    bonded = np.diff(chain.residue_index) == 1
    found = []
    for i in range(1, len(chain) - 1):
        there = known[i, :3].all() and known[i - 1, 2] and known[i + 1, 0]
        if there and bonded[i - 1] and bonded[i]:
            n, ca, c = atoms[i, :3]
            phi = bts.dihedral(atoms[i - 1, 2], n, ca, c)
            psi = bts.dihedral(n, ca, c, atoms[i + 1, 0])
            found.append((np.rad2deg(phi), np.rad2deg(psi)))
    return [(int((phi + 180) // 10), int((psi + 180) // 10)) for phi, psi in found]


def as_grid(counts: Counter[tuple[int, int]], shape: tuple[int, int]) -> np.ndarray:
    grid = np.zeros(shape)
    for place, count in counts.items():
        grid[place] = count
    return grid


def test_a_single_step_is_what_the_noise_levels_judge(chains: list[Chain]) -> None:
    model = perturbed("v14")
    t, found = single_steps(model, chains)
    levels = noise_levels(model, chains, with_shuffled=False)
    own = levels.own[levels.times.index(t)]
    for chain, tm in zip(sorted(chains, key=len), own, strict=True):
        ca, mask = torch.from_numpy(chain.ca)[None], torch.from_numpy(chain.ca_mask)[None]
        structure = found[chain.name]
        assert float(tm_score(structure.ca[None], ca, mask)) == pytest.approx(float(tm), abs=1e-3)
        assert structure.backbone is not None
        gaps = torch.linalg.vector_norm(structure.backbone[:, 1] - structure.ca, dim=-1)
        assert float(gaps.max()) < 0.01


def test_pictures_of_a_run(minifold: Minifold, v14: Path, tmp_path: Path) -> None:
    names = open_dataset().subset("validation").names
    for picture, chosen in (("distances", ("--chains", names[0])), ("traces", ("--count", 1))):
        options = ("--data", "demo", "--steps", 2, "--json", *chosen)
        done = minifold("plot", picture, v14, *options, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["file"] == f"v14-run-{picture}.png"
        assert found["sampling"]["steps"] == 2
        assert [chain["name"] for chain in found["chains"]] == [names[0]] or picture == "traces"
        assert all(0 < chain["tm"] < 1 for chain in found["chains"])
        assert matplotlib.image.imread(tmp_path / found["file"]).ndim == 3


def test_ramachandran_of_a_run(minifold: Minifold, v14: Path, tmp_path: Path) -> None:
    path = tmp_path / "angles.svg"
    options = ("--data", "demo", "--steps", 2, "--out", path, "--json")
    done = minifold("plot", "ramachandran", v14, *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    sampling = found["sampling"]
    assert (sampling["steps"], sampling["eta"], sampling["guidance"]) == (2, 0.3, 1.5)
    assert "warning: v14 never trained without" not in done.stderr
    native, sampled, single = found["sets"]
    assert native["pseudo_jsd"] == native["ramachandran_jsd"] == 0
    assert 0 < sampled["pseudo_jsd"] <= 1
    assert "t = 100" in single["name"]
    assert "demo" in path.read_text()


def test_guidance_is_left_out_where_it_means_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save(tmp_path / "v12b.safetensors", perturbed("v12b"))
    arguments = ["plot", "ramachandran", str(weights), "--data", "demo", "--steps", "1"]
    assert run([*arguments, "--out", str(tmp_path / "a.svg"), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["sampling"]["guidance"] == 1
    assert "never trained without" not in told.err


@pytest.mark.parametrize("picture", ["distances", "errors", "traces", "ramachandran"])
def test_a_model_without_a_denoiser_is_refused(
    picture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save(tmp_path / "contact.safetensors", perturbed("contact"))
    out = tmp_path / "x.png"
    assert run(["plot", picture, str(weights), "--data", "demo", "--out", str(out)]) == 2
    assert "has no denoiser" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ("--chains 1adz.B", 2, "did you mean '"),
        ("--chains 1adz.A --count 2", 2, "both given"),
        ("--out x.pdf", 2, "*.png or *.svg"),
        ("--steps 5000", 2, "5000"),
        ("", 3, "v13-errors.png exists"),
    ],
)
def test_wrong_requests_end_in_a_line(
    options: str,
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    weights = save(tmp_path / "v13.safetensors", perturbed("v13"))
    if code == 3:
        (tmp_path / "v13-errors.png").touch()
    before = set(tmp_path.iterdir())
    assert run(["plot", "errors", str(weights), "--data", "demo", *options.split()]) == code
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert set(tmp_path.iterdir()) == before
