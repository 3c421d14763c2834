"""Pictures of training: every line is its column, and drawing never harms a training."""

from __future__ import annotations

import json
import struct
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from minifold_core.cli.main import run
from minifold_core.discovery import version_package
from minifold_core.errors import RequestError
from minifold_core.plots.curve_data import smoothed
from minifold_core.plots.curve_looks import COLOURS
from minifold_core.plots.curves import draw_bins, draw_curves, save_curves
from minifold_core.plots.style import FAINT, GREY, PAGE
from minifold_core.registry import history
from minifold_core.runs import read_run
from picture_layout import check_layout
from run_files import BINS, FLOORS, SCORES, SLOTS, TERMS, rows, write_run

EPOCHS = 12


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write_run(tmp_path / "first", epochs=rows(EPOCHS, best=4))


def panels(figure: Figure) -> dict[str, list[Axes]]:
    found: dict[str, list[Axes]] = {}
    for axes in figure.axes:
        found.setdefault(axes.get_title(), []).append(axes)
    return found


def drawn(axes: Axes) -> list[tuple[str, float, dict[int, float]]]:
    """Colour, width and points of each line, in the order of drawing."""
    return [
        (to_hex(line.get_color()), line.get_linewidth(), dict(zip(*line.get_data(), strict=True)))
        for line in axes.lines
    ]


def column(name: str, epochs: int = EPOCHS, best: int = 4) -> dict[int, float]:
    return {int(r["epoch"]): r[name] for r in rows(epochs, best) if name in r}


def test_every_line_is_its_column(directory: Path) -> None:
    found = panels(draw_curves([read_run(directory)]))
    blue = COLOURS[0].lower()
    for term in TERMS:
        (axes,) = found[term]
        own = [points for colour, _, points in drawn(axes) if colour == blue]
        assert own == [column(f"train/{term}"), column(f"val/{term}")]
        widths = [width for colour, width, _ in drawn(axes) if colour == blue]
        assert widths[0] < widths[1]
    for slot in SLOTS:
        groups = [[points for _, _, points in drawn(axes)] for axes in found[slot]]
        assert groups == [[column(f"{g}/{slot}")] for g in ("lr", "grad_norm", "update")]
        assert {axes.get_yscale() for axes in found[slot]} == {"log"}
    for score, title in zip(SCORES, ("TM-score", "RMSD", "GDT-TS", "lDDT"), strict=True):
        (axes,) = found[title]
        lines = [(colour, points) for colour, _, points in drawn(axes)]
        assert (blue, column(f"sampled/{score}")) in lines
        floors = [points for colour, points in lines if colour == GREY.lower()]
        assert floors == [column(f"floor/{floor}/{score}") for floor in FLOORS]
    assert found["skipped, not finite"]
    assert [found[t][0].get_ylabel() for t in ("fape", "dist_mse", "chirality", "RMSD")] == [
        "in 10 Å",
        "in 100 Å²",
        "",
        "Å",
    ]


def test_the_best_epoch_is_marked_on_the_validation_total(directory: Path) -> None:
    for total in ("total", "total_fixed"):
        (axes,) = panels(draw_curves([read_run(directory)], [total]))[total]
        (dot,) = (line for line in axes.lines if line.get_marker() == "o")
        assert dot.get_data() == ([4], [column(f"val/{total}")[4]])


def test_the_published_curve_lies_behind_as_far_as_the_run_goes(directory: Path) -> None:
    printed = history(version_package("v13"))
    figure = draw_curves([read_run(directory)])
    for title, name in (("fape", "fape"), ("total", "val_total"), ("TM-score", "ddim_tm")):
        (axes,) = panels(figure)[title]
        (line,) = (x for x in axes.lines if to_hex(x.get_color()) == FAINT.lower())
        expected = {r["epoch"]: r[name] for r in printed if name in r and r["epoch"] <= EPOCHS}
        assert dict(zip(*line.get_data(), strict=True)) == expected
        assert line.get_zorder() < min(x.get_zorder() for x in axes.lines if x is not line)
    (axes,) = panels(figure)["total_fixed"]
    assert FAINT.lower() not in {colour for colour, _, _ in drawn(axes)}


def test_a_published_curve_far_away_does_not_flatten_the_own(tmp_path: Path) -> None:
    epochs = [row | {"val/fape": 50.0 + row["epoch"] / 10} for row in rows(EPOCHS, 4)]
    epochs = [row | {"train/fape": 50.0} for row in epochs]
    far = read_run(write_run(tmp_path / "far", epochs=epochs))
    (axes,) = draw_curves([far], ["fape"]).axes
    assert axes.get_ylim()[0] > 40


def test_runs_lie_over_each_other_and_a_version_is_published_once(tmp_path: Path) -> None:
    made = [
        write_run(tmp_path / f"run{n}", version, epochs=rows(n, best=2))
        for n, version in ((8, "v13"), (5, "v13"), (6, "v12b"))
    ]
    (axes,) = draw_curves([read_run(path) for path in made], ["bond"]).axes
    lines = drawn(axes)
    assert [len(p) for colour, _, p in lines if colour == FAINT.lower()] == [8, 6]
    for colour, epochs in zip(COLOURS, (8, 5, 6), strict=False):
        own = [points for c, _, points in lines if c == colour.lower()]
        assert own == [column(f"{part}/bond", epochs, 2) for part in ("train", "val")]


def test_equal_runs_are_told_apart(tmp_path: Path) -> None:
    """The later one lies over the first in dashes of another colour, or wider ones."""
    runs = [read_run(write_run(tmp_path / name, epochs=rows(5, best=2))) for name in "ab"]
    for draw in (draw_curves, draw_bins):
        (axes,) = draw(runs, ["bond"]).axes
        own = [line for line in axes.lines if to_hex(line.get_color()) != FAINT.lower()]
        first = [line for line in own if line.get_linestyle() == "-"]
        later = [line for line in own if line.get_linestyle() == "--"]
        assert len(first) == len(later) == len(own) / 2
        for under in first:
            (over,) = (x for x in later if drawn_points(x) == drawn_points(under))
            assert own.index(over) > own.index(under)
            other = to_hex(over.get_color()) != to_hex(under.get_color())
            assert other or over.get_linewidth() > under.get_linewidth()
    keys = draw_curves(runs, ["bond"]).legends[0].get_lines()
    assert [key.get_linestyle() for key in keys[:2]] == ["-", "--"]


def drawn_points(line: Line2D) -> list[list[float]]:
    return line.get_xydata().tolist()


def test_bins_are_darker_the_noisier(directory: Path) -> None:
    figure = draw_bins([read_run(directory)])
    assert [axes.get_title() for axes in figure.axes] == list(TERMS)
    for axes in figure.axes:
        lines = drawn(axes)
        expected = [column(f"val/{axes.get_title()}@{level}") for level in BINS]
        assert [points for _, _, points in lines] == expected
        lightness = [sum(bytes.fromhex(colour[1:])) for colour, _, _ in lines]
        assert all(light > dark for light, dark in pairwise(lightness))


def test_smoothing_is_the_mean_of_the_last_epochs() -> None:
    values = np.random.default_rng(0).normal(size=20)
    points = dict(enumerate(values.tolist(), 1))
    expected = [values[max(0, n - 4) : n + 1].mean() for n in range(20)]
    np.testing.assert_allclose([*smoothed(points, 5).values()], expected)
    assert smoothed(points, 1) == points
    assert smoothed({1: 2.0, 9: 4.0}, 3) == {1: 2.0, 9: 4.0}


def test_nothing_overlaps_or_leaves_the_page(tmp_path: Path) -> None:
    long = "a_run_with_a_name_that_is_much_too_long_for_a_legend"
    runs = [
        read_run(write_run(tmp_path / name, version, epochs=rows(epochs, best=1)))
        for name, version, epochs in ((long, "v13", 130), ("b", "v12", 3), ("c", "v10", 40))
    ]
    terms = [f"{part}/{term}" for part in ("train", "val") for term in TERMS]
    tiny = [row | {term: 1.2e-5 * row[term] for term in terms} for row in rows(9, best=1)]
    small = [read_run(write_run(tmp_path / "small", epochs=tiny))]
    for figure in (draw_curves(runs), draw_curves(runs[1:2]), draw_bins(runs), draw_curves(small)):
        check_layout(figure)


def test_a_run_of_one_epoch_has_dots(tmp_path: Path) -> None:
    one = read_run(write_run(tmp_path / "one", epochs=rows(1, best=1)))
    figure = draw_curves([one])
    check_layout(figure)
    assert {line.get_marker() for axes in figure.axes for line in axes.lines} == {"o"}


def test_values_that_are_not_finite_are_gaps(tmp_path: Path) -> None:
    nan, epochs = float("nan"), rows(EPOCHS, 4)
    epochs[3]["val/fape"] = nan
    epochs = [row | {"train/bond": nan, "val/bond": nan} for row in epochs]
    found = panels(draw_curves([read_run(write_run(tmp_path / "run", epochs=epochs))]))
    assert "bond" not in found
    assert 4 not in drawn(found["fape"][0])[-1][2]


def test_saving_while_training_draws_anew_each_time(directory: Path, tmp_path: Path) -> None:
    for path in (directory / "curves.png", directory / "curves.svg"):
        save_curves(directory, path)
        first = path.read_bytes()
        save_curves(directory, path)
        assert path.read_bytes() == first
        (directory / "metrics.csv").write_text(
            "epoch,train/total,train/total_fixed\n1,2,2\n2,1,1\n"
        )
        save_curves(directory, path)
        assert path.read_bytes() != first
        write_run(tmp_path / path.suffix, epochs=rows(EPOCHS, best=4))
        (tmp_path / path.suffix / "metrics.csv").replace(directory / "metrics.csv")


def test_saving_never_raises_into_the_training(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    save_curves(tmp_path / "gone", tmp_path / "x.png")
    save_curves(directory, tmp_path / "file" / "x.png")
    save_curves(directory, tmp_path / "x.unknown")
    (directory / "metrics.csv").write_bytes(b"\xff\xfe,epoch\n1")
    save_curves(directory, tmp_path / "x.png")
    (directory / "metrics.csv").write_text("epoch\n3\n")
    save_curves(directory, tmp_path / "x.png")
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("warning: no curves in ") for line in lines] == [True] * 3 + [False]
    assert "metrics.csv is damaged" in lines[3]
    assert not (tmp_path / "x.png").exists()


def test_the_command_writes_pictures(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for suffix, options in (
        (".png", ["--smooth", "3"]),
        (".svg", ["--bins", "--terms", "bond,fape"]),
    ):
        out = tmp_path / f"curves{suffix}"
        assert run(["plot", "curves", str(directory), "--out", str(out), "--json", *options]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found == {"file": str(out), "runs": [str(directory)]}
    width, _ = struct.unpack(">II", (tmp_path / "curves.png").read_bytes()[16:24])
    assert width == pytest.approx(PAGE / 25.4 * 300, abs=1)
    root = ElementTree.parse(tmp_path / "curves.svg").getroot()
    assert float(root.get("width", "").removesuffix("pt")) == pytest.approx(PAGE / 25.4 * 72)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("{run} --out x.pdf", 2, "*.png or *.svg"),
        ("{run} --out {run}/metrics.png", 3, "exists"),
        ("{run} --out x.png --terms fap", 2, "did you mean 'fape'?"),
        ("{run} --out x.png --terms ,", 2, "names no curve"),
        ("{run} --out x.png --bins --terms total", 2, "no such curve"),
        ("{run} --out x.png --smooth 0", 2, "--smooth"),
        ("{run} {run} {run} {run} {run} --out x.png", 2, "give 1 to 4"),
        ("{none} --out x.png", 2, "no epoch has ended"),
        ("gone --out x.png", 2, "does not exist"),
        ("{run} {no_bins} --out x.png --bins --terms rg", 2, "no such curve"),
        ("{no_bins} --out x.png --bins", 2, "draw without --bins"),
    ],
)
def test_wrong_requests_end_in_a_line(
    arguments: str,
    code: int,
    says: str,
    directory: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (directory / "metrics.png").touch()
    plain = {"epoch": 1, "step": 1, "train/total": 1.0, "train/total_fixed": 1.0}
    given = {
        "run": directory,
        "none": write_run(tmp_path / "none"),
        "no_bins": write_run(tmp_path / "no_bins", epochs=[plain]),
    }
    monkeypatch.chdir(tmp_path)
    assert run(["plot", "curves", *arguments.format(**given).split()]) == code
    assert says in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "x.png").exists()


def test_too_many_runs_are_refused(directory: Path) -> None:
    with pytest.raises(RequestError, match="5 runs"):
        draw_curves([read_run(directory)] * 5)
