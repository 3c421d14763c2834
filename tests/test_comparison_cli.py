"""``minifold compare`` as a user runs it, and what its arguments may be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minifold_core.assembly import assemble
from minifold_core.cli.main import run
from minifold_core.comparison.sides import Side, read_sides
from minifold_core.discovery import find_versions
from minifold_core.errors import RequestError
from run_files import rows, write_run

Minifold = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = ("torch", "numpy", "biotite", "matplotlib")
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?![\w.]*\w)")
CONTACT = find_versions().items["contact"].directory / "weights" / "nano.safetensors"

PARTS = """
from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1

@hookimpl
def minifold_components():
    config = "minifold_pairs.config:AxialPairStackConfig"
    stack = "minifold_pairs.axial:AxialPairStack"
    return [ComponentSpec("pair_stack", "strange", config, stack, summary="axial, by a stranger")]
"""


def static(minifold: Minifold, *arguments: object, **environment: str) -> dict:
    done = minifold("compare", *arguments, "--static", "--json", **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["static"]


def trained(directory: Path, seed: int, version: str = "contact") -> Path:
    """A nano run of contact with weights."""
    run = write_run(directory, version, epochs=rows(3, 2))
    surroundings = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps(surroundings | {"seed": seed}))
    shutil.copy(CONTACT, run / "best.safetensors")
    return run


@pytest.mark.parametrize("width", ["80", "160"])
@pytest.mark.parametrize("sides", [("v12b", "v13"), ("v10", "v13"), ("v11", "v14", "contact")])
def test_every_figure_in_the_terminal_is_in_the_json(
    minifold: Minifold, sides: tuple[str, ...], width: str
) -> None:
    text = minifold("compare", *sides, COLUMNS=width).stdout
    assert max(map(len, text.splitlines())) <= int(width)
    assert "…" not in text
    found = static(minifold, *sides)
    known = {number for value in _leaves(found) for number in _numbers(value)}
    for token in {token for line in text.splitlines() for token in NUMBER.findall(line)}:
        plain = token.replace(",", "")
        digits = len(plain.partition(".")[2]) if "e" not in plain else 9
        assert any(round(number, digits) == float(plain) for number in known), token


def test_the_page_of_v12b_and_v13_says_what_changed_first(minifold: Minifold) -> None:
    text = minifold("compare", "v12b", "v13", COLUMNS="80").stdout
    order = [
        "v13 comes from v12b",
        "For contacts between residues",
        "31,013,877",
        "total 2.413 at epoch 30",
        "85.3 % from v12b",
        "cannot be compared: clash weighs",
    ]
    order += ["axial (v8)", "alike in all: encoder", "pair_stack.blocks", "pair_stack.tri_mul_dim"]
    order += ["0 (default)", "1e-06 (v13)", "loss weights", "0.1 (v11)"]
    order += [
        "in 10 Å",
        "0.780 at 16   at 4 (34)",
        "behind both",
        "Only v13 printed",
        "0.323 → 0.396",
    ]
    order += ["Row 15 of the table", "2 faults more", "not measured", "next: minifold"]
    places = [text.find(words) for words in order]
    assert -1 not in places
    assert places == sorted(places)
    wide = minifold("compare", "v12b", "v13", COLUMNS="160").stdout
    assert "0 (default of training.schedule)" in wide
    assert "axial (v8/recipe.toml)" in wide


def test_no_number_is_broken_however_many_sides(minifold: Minifold) -> None:
    text = minifold("compare", "v11", "v11b", "v12", "v12b", "v13", COLUMNS="80").stdout
    assert max(map(len, text.splitlines())) <= 80
    words = text.split()
    for number in ("8,350,833", "31,013,877", "35,385,717", "28,494,352", "5e-05", "epochs"):
        assert number in words
    assert text.count("loss weights") > 1  # in blocks


def test_brackets_are_explained_where_there_are_some(minifold: Minifold) -> None:
    text = minifold("compare", "v13", "v14").stdout
    assert "In brackets" not in text
    assert "From which epoch of its parent v14 began is not known" in text
    text = " ".join(minifold("compare", "v10", "v13").stdout.split())
    assert "v10 published the figures of its best epoch alone" in text


@pytest.mark.parametrize("arguments", [["v12b", "v13"], ["v10", "v13", "contact", "--json"]])
def test_versions_are_compared_without_heavy_imports(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom minifold_core.cli.main import run\n"
        f"code = run({['compare', *arguments]!r})\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"


def test_the_same_side_twice_is_equal(minifold: Minifold) -> None:
    text = minifold("compare", "v13", "v13").stdout
    assert "v13 and v13 (2) are one recipe" in text
    assert "the recipes are equal: every part, value and loss" in text


def test_a_users_recipe_is_built_to_be_counted(minifold: Minifold, tmp_path: Path) -> None:
    file = tmp_path / "shallow.toml"
    file.write_text('extends = "v13"\n[denoiser]\nlayers = 2\n')
    done = minifold("compare", "v13", file, "--size", "nano", COLUMNS="80")
    assert "shallow has parts of its own, so it was built to be counted (with torch)" in done.stderr
    assert "4 (preset)" in done.stdout
    assert "2 (shallow.toml)" in done.stdout
    found = static(minifold, "v13", file, "--size", "nano")["sides"][1]
    model = assemble(str(file), "nano")
    numbers = [(p.numel(), p.requires_grad) for p in model.parameters()]
    assert found["parameters"] == sum(count for count, _ in numbers)
    assert found["trainable"] == sum(count for count, trains in numbers if trains)
    assert (found["lineage"][-2:], found["built"]) == (["v13", "shallow"], True)


def test_a_plugins_model_with_a_part_of_its_own(minifold: Minifold, tmp_path: Path) -> None:
    package, info = tmp_path / "strange_version", tmp_path / "strange-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[minifold.versions]\nv20 = strange_version\n[minifold.plugins]\nstrange = strange_parts\n"
    )
    (package / "__init__.py").touch()
    (package / "recipe.toml").write_text(
        'extends = "v13"\n[pair_stack]\ncomponent = "strange"\nblocks = 1\n'
    )
    (tmp_path / "strange_parts.py").write_text(PARTS)
    done = minifold("compare", "v13", "v20", "--static", PYTHONPATH=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "v20 comes from v13" in done.stdout
    assert "strange (v20" in done.stdout
    found = static(minifold, "v13", "v20", PYTHONPATH=str(tmp_path))
    (part,) = (part for part in found["parts"] if not part["equal"])
    assert [side["component"] for side in part["sides"]] == ["triangle", "strange"]
    assert found["milestones"] == []  # it published nothing


def test_runs_and_weights(minifold: Minifold, tmp_path: Path) -> None:
    run = trained(tmp_path / "mine", 3)
    begun = write_run(tmp_path / "begun", "v13")
    found = static(minifold, "contact", run, begun, "contact:nano", cwd=tmp_path)
    assert [(side["label"], side["id"], side["size"]) for side in found["sides"]] == [
        ("contact", "contact", "nano"),
        ("mine", "contact", "nano"),
        ("begun", "v13", "nano"),
        ("contact:nano", "contact", "nano"),
    ]
    mine, other = (found["sides"][n]["trainings"][0] for n in (1, 2))
    assert (mine["seed"], mine["best"]["epoch"], Path(mine["weights"])) == (
        3,
        2,
        run / "best.safetensors",
    )
    assert (other["weights"], other["epoch"], other["best"]) == ("", None, None)
    (named,) = static(minifold, "contact:nano", "v13", cwd=run)["sides"][0]["trainings"]
    assert (named["seed"], named["best"]) == (None, None)  # the run around it is not its own


def test_sides_with_weights_are_measured_and_the_others_are_named(minifold: Minifold) -> None:
    arguments = ["contact:nano", "contact:nano", "contact", "--no-cost"]
    done = minifold("compare", *arguments, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert "measured on 5 chains (demo, validation)" in done.stdout
    assert "are the same weights" in " ".join(done.stdout.split())
    assert "not measured: contact names a recipe; to measure, name weights: " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    found = json.loads(minifold("compare", *arguments, "--json").stdout)
    (pair,) = found["measured"]["pairs"]
    assert {row["difference"] for row in pair["rows"]} == {0.0}
    assert found["why_not_measured"].endswith(": minifold compare" + " contact:nano" * 3)
    unmeasured = json.loads(minifold("compare", *arguments, "--static", "--json").stdout)
    assert (unmeasured["measured"], unmeasured["why_not_measured"]) == (None, "--static")


@pytest.mark.parametrize(
    ("sides", "why"),
    [
        ("v10 v12", "no weights of v10, v12"),
        ("v15 v12", "no weights of v12; it takes two sides with weights"),
        (
            "v15 v13",
            "v15, v13 name recipes; to measure, name weights: minifold compare v15:nano v13:nano",
        ),
        (
            "v15:nano v12 v13",
            "no weights of v12; v13 names a recipe; to measure, name weights: minifold compare "
            "v15:nano v12 v13:nano",
        ),
    ],
)
def test_it_says_why_nothing_is_measured(minifold: Minifold, sides: str, why: str) -> None:
    found = json.loads(minifold("compare", *sides.split(), "--json").stdout)
    assert (found["measured"], found["why_not_measured"]) == (None, why)


def test_what_cannot_be_written_or_used_is_said_before_measuring(
    minifold: Minifold, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    sides = ("contact:nano", "contact:nano")
    for option, path in (("--html", "file/page.html"), ("--plots", "file/pictures")):
        done = minifold("compare", *sides, option, tmp_path / path)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{option} {tmp_path / path} cannot be written: " in done.stderr
        assert f"{tmp_path / 'file'} is a file, not a directory; choose another" in done.stderr
    done = minifold("compare", "v12b", "v13", "--data", "/nonexistent", "--count", 2)
    assert done.returncode == 0
    assert "nothing is measured, so --data, --count is not used" in done.stderr
    done = minifold("compare", *sides, "--no-cost", "--split", "train", COLUMNS="200")
    assert "weights that were trained on them may remember them" in done.stdout


def test_results_are_printed_even_if_no_page_can_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("no picture")

    monkeypatch.setattr("minifold_core.report.comparison_pictures.drawings", broken)
    sides = ["contact:nano", "contact:nano"]
    arguments = ["compare", *sides, "--no-cost", "--json", "--html", str(tmp_path / "a.html")]
    assert run(arguments) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["measured"]["pairs"]
    assert "no picture" in told.err


def test_a_strangers_weights_are_known_by_their_tensors(tmp_path: Path) -> None:
    save_file(load_file(CONTACT), tmp_path / "theirs.safetensors")
    theirs, ours = read_sides([str(tmp_path / "theirs.safetensors"), "contact"])
    assert (theirs.label, theirs.recipe.id, theirs.recipe.size) == ("theirs", "contact", "nano")
    assert not theirs.measured
    assert ours.recipe.size == "nano"
    save_file({"x": np.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(RequestError, match="tensors of no installed version"):
        read_sides([str(tmp_path / "x.safetensors"), "v13"])


def test_runs_joined_by_commas_are_one_side(tmp_path: Path) -> None:
    runs = [trained(tmp_path / f"run{n}", seed) for n, seed in enumerate((0, 1, 1))]
    side, _ = read_sides([f"{runs[0]},{runs[1]}", "contact"])
    assert isinstance(side, Side)
    assert (side.label, [member.seed for member in side.members]) == ("run", [0, 1])
    assert side.measured
    v13 = write_run(tmp_path / "v13", "v13")
    for joined, said in (
        (f"{runs[1]},{runs[2]}", "both have seed 1"),
        (f"{runs[0]},{v13}", "not of one recipe: "),
        (f"{runs[0]},{CONTACT}", "no run beside it that tells its seed"),
        (f"{runs[0]},v13", "only runs and weights are joined by commas"),
    ):
        with pytest.raises(RequestError, match=said):
            read_sides([joined, "contact"])
    odd = trained(tmp_path / "a,b", 5)
    assert read_sides([str(odd), "contact"])[0].label == "a,b"


def test_labels_are_as_short_as_tells_sides_apart(tmp_path: Path) -> None:
    for place in ("one", "two"):
        trained(tmp_path / place / "run", 0)
    file = tmp_path / "one" / "run" / "best.safetensors"
    (tmp_path / "v13.toml").write_text('extends = "v13"\n')
    runs = [str(tmp_path / place / "run") for place in ("one", "two")]
    sides = read_sides([*runs, str(file), "v13", str(tmp_path / "v13.toml"), "v13"])
    labels = ["one/run", "two/run", "run/best", "v13", f"{tmp_path.name}/v13", "v13 (2)"]
    assert [side.label for side in sides] == labels


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["v13"], "takes two sides or more"),
        (["v13", "v12bb"], "'v12bb' is no path and no version; did you mean 'v12b'?"),
        (["v13", "contact:nono"], "did you mean 'contact:nano'?"),
        (["v13", "runs/gone"], "runs/gone does not exist"),
        (["v13", "gone.toml"], "recipe file gone.toml does not exist"),
        (["v13", "v12b", "--size", "nanoo"], "did you mean 'nano'?"),
        (
            ["contact:nano", "contact:full", "--size", "nano"],
            "runs and weights have their own size",
        ),
        (["v13", "."], "is no run directory"),
    ],
)
def test_requests_that_are_wrong_are_refused(
    minifold: Minifold, arguments: list[str], said: str
) -> None:
    done = minifold("compare", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value


def _numbers(value: object) -> list[float]:
    if isinstance(value, str):
        return [float(token.replace(",", "")) for token in NUMBER.findall(value)]
    return [float(value)] if isinstance(value, int | float) else []
