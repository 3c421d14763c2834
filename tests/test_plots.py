"""Pictures: their numbers against independent ones, their files, and what is refused."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgba

from minifold_core.cath import ARCHITECTURES
from minifold_core.cli.main import run
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.data.packwriter import write_pack
from minifold_core.data.records import Chain
from minifold_core.model import FoldModel
from minifold_core.plots.contacts import contact_maps, draw_contacts
from minifold_core.plots.embeddings import OTHERS, draw_embeddings, embed
from minifold_core.plots.projection import Projection, pca, umap
from minifold_core.plots.selection import choose
from minifold_core.plots.style import FAINT, PAGE
from picture_layout import check_layout
from structure_samples import labelled_chains
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def model() -> FoldModel:
    return perturbed("contact").eval()


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    return labelled_chains()


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, model: FoldModel, chains: list[Chain]
) -> dict[str, Path]:
    """Weights of a contact model and of a v13, and a data set with labels."""
    home = tmp_path_factory.mktemp("plots")
    write_pack(home / "labelled.safetensors", chains, [], {})
    return {
        "contact": save(home / "contact.safetensors", model),
        "v13": save(home / "v13.safetensors", perturbed("v13")),
        "data": home / "labelled.safetensors",
    }


def test_chains_are_chosen_by_rule(chains: list[Chain]) -> None:
    def sized(name: str, length: int, *codes: str) -> Chain:
        return replace(chains[1].window(0, length), name=name, cath=codes)

    several = [
        *(sized(f"alpha{n}", n, "1.10.8") for n in (20, 22, 24, 26, 28)),
        sized("beta", 20, "2.40.50"),
        sized("few", 25, "4.10.1"),
        *(sized(f"none{n}", n) for n in (21, 23, 25)),
    ]
    names = [chain.name for chain in choose(several, 3)]
    assert names == ["few", "beta", "alpha24"]
    assert names == [chain.name for chain in choose(several[::-1], 3)]
    six = [chain.name for chain in choose(several, 6)]
    assert six == ["few", "beta", "alpha22", "alpha26", "none21", "none25"]
    assert [chain.name for chain in choose(several[-3:], 1)] == ["none23"]
    assert sorted(c.name for c in choose(several, 99)) == sorted(c.name for c in several)


def test_embeddings_are_pooled_chain_by_chain(model: FoldModel, chains: list[Chain]) -> None:
    query = model.heads["cath"].query.weight[0]
    rows = embed(model, chains)
    for chain, row in zip(chains[::5], rows[::5], strict=True):
        with torch.no_grad():
            single = model.trunk(collate([chain]), complete=True)["single"][0]
            expected = (single @ query).softmax(0) @ single
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_pca_is_the_eigenvectors_of_the_covariance() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)) * [1, 5, 1, 2, 1, 1] + 3
    found = pca(x)
    values, vectors = np.linalg.eigh(np.cov(x.T))
    expected = (x - x.mean(0)) @ vectors[:, [-1, -2]]
    np.testing.assert_allclose(np.abs(found.points), np.abs(expected), atol=1e-9)
    share = values[[-1, -2]] / values.sum()
    assert found.variance == pytest.approx(tuple(share))
    assert found.axes[0] == f"PC 1 ({100 * share[0]:.0f} % of variance)"
    np.testing.assert_allclose(pca(-x).points, -found.points, atol=1e-9)


def test_umap_is_the_same_every_time() -> None:
    pytest.importorskip("umap")
    x = np.random.default_rng(0).normal(size=(8, 6))
    first = umap(x).points
    assert first.shape == (8, 2)
    np.testing.assert_array_equal(first, umap(x).points)


def test_every_chain_is_drawn_as_its_label_says(chains: list[Chain]) -> None:
    points = np.arange(2.0 * len(chains)).reshape(-1, 2)
    left, right = draw_embeddings(Projection(points, ("a", "b")), chains).axes
    names = {"1": "mainly alpha", "2": "mainly beta", "3": "alpha beta", None: "no single class"}
    classes = [c.cath[0][0] if len(c.cath) == 1 else None for c in chains]
    for code, name in names.items():
        (drawn,) = [
            c for c in left.collections if c.get_label() == f"{name} ({classes.count(code)})"
        ]
        expected = [p for p, own in zip(points, classes, strict=True) if own == code]
        np.testing.assert_array_equal(drawn.get_offsets(), expected)
        assert (drawn.get_facecolor()[0] == to_rgba(FAINT)).all() == (code is None)
    labels = [text.get_text() for text in right.get_legend().get_texts()]
    assert labels == [
        "1.10 orthogonal bundle (3)",
        "1.20 up-down bundle (3)",
        "2.40 beta barrel (3)",
        "3.30 2-layer sandwich (3)",
        "no single architecture (6)",
    ]


def crowded(chains: list[Chain]) -> list[Chain]:
    """Chains of every architecture, the ones with the longest names most often."""
    counts = {code: 100 * (len(name) < 30) + len(name) for code, name in ARCHITECTURES.items()}
    codes = [code for code, count in counts.items() for _ in range(count)]
    return [replace(chains[0].window(0, 5), cath=(f"{code}.1",)) for code in [*codes, "9.9"]]


def test_nothing_overlaps_or_leaves_the_page(model: FoldModel, chains: list[Chain]) -> None:
    many = crowded(chains)
    points = np.random.default_rng(0).normal(size=(len(many), 2))
    embeddings = draw_embeddings(Projection(points, ("PC 1 (88 % of variance)",) * 2), many)
    labels = [t.get_text() for t in embeddings.axes[1].get_legend().get_texts()]
    assert len(labels) == 12
    assert labels[-2].startswith(OTHERS)
    named = [replace(c, name="a_rather_long_name.A", cath=("4.10.1",)) for c in chains[:2]]
    for figure in (embeddings, draw_contacts(contact_maps(model, named))):
        check_layout(figure)


def test_files_are_pictures_of_the_right_size_and_always_the_same(
    minifold: Minifold, files: dict[str, Path], tmp_path: Path
) -> None:
    data, split = files["data"], ("--split", "train", "--split", "validation")
    for command, options in (("contacts", ("--count", 2)), ("embeddings", split)):
        for suffix in ("png", "svg"):
            paths = [tmp_path / f"{command}{n}.{suffix}" for n in (1, 2)]
            for path in paths:
                arguments = (files["contact"], "--data", data, "--out", path, *options)
                done = minifold("plot", command, *arguments, "--json")
                assert done.returncode == 0, done.stderr
                assert json.loads(done.stdout)["file"] == str(path)
            first, second = (path.read_bytes() for path in paths)
            assert first == second
        width, height = struct.unpack(">II", (tmp_path / f"{command}1.png").read_bytes()[16:24])
        assert width == pytest.approx(PAGE / 25.4 * 300, abs=1)
        pixels = matplotlib.image.imread(tmp_path / f"{command}1.png")
        assert pixels.shape[:2] == (height, width)
        assert (pixels[:5] == 1).all()
        root = ElementTree.parse(tmp_path / f"{command}1.svg").getroot()
        assert float(root.get("width", "").removesuffix("pt")) == pytest.approx(PAGE / 25.4 * 72)
        assert "labelled.safetensors" in (tmp_path / f"{command}1.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("contacts {contact} --data demo --out x.pdf", 2, "*.png or *.svg"),
        ("contacts {contact} --data demo --out {data}.png", 3, "exists"),
        ("contacts {contact} --data demo --out x.png --chains 1adz.B", 2, "did you mean '"),
        ("contacts {contact} --data demo --out x.png --chains ,", 2, "0 chains"),
        ("contacts {contact} --data demo --out x.png --chains {train}", 2, "add --split train"),
        ("contacts {contact} --data demo --out x.png --chains a --count 1", 2, "both given"),
        ("embeddings {contact} --data demo --out x.png", 2, "has a CATH label"),
        ("embeddings {v13} --data demo --out x.png", 2, "v13 has no head that pools"),
        ("embeddings {contact} --data {data} --out x.png --split test", 2, "no test chain"),
        ("embeddings {contact} --data {data} --out x.png --method tsne", 2, "known: pca, umap"),
        ("embeddings {contact} --data {data} --out x.png --method umap", 2, "minifold[umap]"),
    ],
)
def test_wrong_requests_end_in_a_line(
    arguments: str,
    code: int,
    says: str,
    files: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    monkeypatch.chdir(tmp_path)
    files["data"].with_name(f"{files['data'].name}.png").touch()
    given = arguments.format(**files, train=open_dataset().subset("train").names[0]).split()
    assert run(["plot", *given]) == code
    lines = capsys.readouterr().err.splitlines()
    assert says in lines[-1]
    assert len(lines[-1]) < 400
    assert list(tmp_path.iterdir()) == []


def test_a_pool_that_was_never_trained_is_told(
    minifold: Minifold, files: dict[str, Path], tmp_path: Path
) -> None:
    values = {"losses.cath_class.weight": 0, "losses.cath_architecture.weight": 0}
    weights = save(tmp_path / "x.safetensors", perturbed("contact", **values))
    arguments = (weights, "--data", files["data"], "--split", "train", "--out", tmp_path / "x.svg")
    done = minifold("plot", "embeddings", *arguments)
    assert done.returncode == 0, done.stderr
    assert "heads.cath of these weights was never trained" in done.stderr


@pytest.mark.parametrize("arguments", [["plot", "--help"], ["plot", "contacts", "--help"]])
def test_help_is_light(arguments: list[str]) -> None:
    code = (
        "import sys; from minifold_core.cli.main import run; "
        f"code = run({arguments!r}); heavy = ('torch', 'numpy', 'matplotlib', 'umap'); "
        "print([m for m in heavy if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"
    assert "contacts" in done.stdout
