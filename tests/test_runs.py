"""``minifold runs``: what is listed and shown of runs, whole, half-written and damaged ones."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from minifold_core.cli.main import run
from minifold_core.errors import RequestError
from minifold_core.recipe import load_recipe
from minifold_core.recipe_diff import changes, nearest_version
from minifold_core.runs import find_runs, read_run
from run_files import rows, write_run, write_state

Minifold = Callable[..., subprocess.CompletedProcess[str]]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def trained(minifold: Minifold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real run that was asked for three steps of contact."""
    directory = tmp_path_factory.mktemp("runs") / "deep" / "trained"
    arguments = ("--size", "nano", "--max-steps", 3, "--run-dir", directory)
    done = minifold("train", "contact", *arguments, "--set", "training.learning_rate=0.002")
    assert done.returncode == 0, done.stderr
    return directory


def shown(directory: Path, captured: Captured, *arguments: str) -> str:
    assert run(["runs", "show", str(directory), *arguments]) == 0
    return captured.readouterr().out


def test_a_real_run_is_listed_and_shown(trained: Path, capsys: Captured) -> None:
    assert run(["runs", "list", str(trained.parents[1]), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["run"], row["version"], row["size"]) == (str(trained), "contact", "nano")
    assert (row["epoch"], row["step"], row["state_step"]) == (1, 3, 3)
    assert (row["state"], row["problems"]) == ("finished", [])
    assert row["best"] == {"epoch": 1, "total": row["last"]}
    found = json.loads(shown(trained, capsys, "--json"))
    values = found["recipe_changes"]["values"]
    assert found["recipe_changes"]["version"] == "contact"
    assert values["training.learning_rate"] == {"version": 1e-3, "recipe": 2e-3}
    # Losses without labels are off on the demo set; nothing else was changed.
    assert {key.split(".")[0] for key in values} <= {"training", "losses"}
    assert found["weights"] == ["best.safetensors", "last.safetensors"]
    assert found["epochs_table"][0]["train/contact"] > 0
    text = shown(trained, capsys)
    assert "training.learning_rate: 0.001 → 0.002" in text
    assert f"minifold evaluate {trained} --data demo" in text
    assert "sample" not in text
    assert "resume" not in text


@pytest.mark.parametrize("command", ["list", "show"])
def test_runs_are_read_without_torch(trained: Path, command: str) -> None:
    code = (
        "import sys\nfrom minifold_core.cli.main import run\n"
        f"code = run(['runs', {command!r}, {str(trained)!r}])\n"
        "heavy = ('torch', 'numpy', 'biotite', 'matplotlib')\n"
        "print([m for m in heavy if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"


@pytest.mark.parametrize(
    ("state", "values", "standing"),
    [
        (None, {}, "no state"),
        (None, {"training.epochs": 6}, "finished"),
        ({"step": 240, "epoch": 7, "best_epoch": 4}, {}, "resumable"),
        ({"step": 240, "epoch": 7, "best_epoch": 4}, {"training.epochs": 6}, "finished"),
        ({"step": 239, "epoch": 6, "best_epoch": 4}, {"training.epochs": 6}, "resumable"),
        ({"step": 240, "epoch": 7, "best_epoch": 4, "max_epochs": 6}, {}, "finished"),
        ({"step": 240, "epoch": 7, "best_epoch": 4, "max_steps": 240}, {}, "finished"),
        ({"step": 239, "epoch": 6, "best_epoch": 4, "max_steps": 240}, {}, "resumable"),
        ({"step": 240, "epoch": 7, "best_epoch": 4}, {"training.patience": 2}, "finished"),
        ({"step": 240, "epoch": 7, "best_epoch": 4}, {"training.patience": 3}, "resumable"),
    ],
)
def test_standing(
    tmp_path: Path, state: dict[str, int] | None, values: dict[str, int], standing: str
) -> None:
    values = {"training.patience": 0} | values
    directory = write_run(tmp_path / "run", epochs=rows(6, best=4), values=values)
    if state:
        write_state(directory, **state)
    assert read_run(directory).standing == standing


def test_only_a_run_that_can_go_on_is_offered_to_resume(tmp_path: Path, capsys: Captured) -> None:
    directory = write_run(tmp_path / "a run", epochs=rows(6, best=4))
    assert "minifold resume" not in shown(directory, capsys)
    write_state(directory, step=250, epoch=7, best_epoch=4)
    assert f"minifold resume '{directory}'\n" in shown(directory, capsys)


def test_runs_are_found_at_any_depth_and_the_oldest_comes_first(
    tmp_path: Path, capsys: Captured
) -> None:
    write_run(tmp_path / "b" / "deep" / "late", started="2026-03-01T00:00:00+00:00")
    write_run(tmp_path / "late", epochs=rows(1, 1), started="2026-03-01T00:00:01+00:00")
    write_run(tmp_path / "zz" / "early", started="2026-02-28T00:00:00+00:00")
    write_run(tmp_path / "late" / "samples" / "copy")
    write_run(tmp_path / ".hidden" / "run")
    (tmp_path / "version").mkdir()
    shutil.copy(tmp_path / "late" / "recipe.toml", tmp_path / "version")
    assert len(find_runs(tmp_path)) == 3
    assert run(["runs", "list", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if "v13" in line] == [
        "zz/early",
        "b/deep/late",
        "late",
    ]
    assert max(map(len, lines)) <= 80


def test_a_recipe_differs_by_what_was_asked_for() -> None:
    recipe = load_recipe(
        "v13", "nano", {"pair_stack": "axial"}, {"losses.bond.weight": 2.0, "denoiser.layers": 2}
    )
    assert nearest_version(recipe) == "v13"
    found = changes(recipe, "v13")
    assert found == {
        "pair_stack.component": ("triangle", "axial"),
        "denoiser.layers": (4, 2),
        "losses.bond.weight": ({"start": 1.0, "end": 3.0, "epochs": 10}, 2.0),
    }
    assert not changes(load_recipe("v13", "nano"), "v13")


def test_a_long_run_fits_a_terminal_with_its_first_best_and_last_epochs(
    tmp_path: Path, capsys: Captured
) -> None:
    directory = write_run(tmp_path / "run", epochs=rows(150, best=30))
    text = shown(directory, capsys)
    lines = text.replace(str(directory), "run").splitlines()
    assert max(map(len, lines)) <= 80
    numbers = [line.split()[0] for line in lines if line.strip()]
    table = numbers[numbers.index("epoch") : numbers.index("validation")]
    assert table[1:] == ["1", "⋮", "*30", "⋮", *(str(n) for n in range(139, 151))]
    assert "best: 3.250 in epoch 30" in text
    cells = next(line.split() for line in lines if line.split()[:1] == ["*30"])
    assert cells[1:4] == ["3.000", "3.250", "1.050"]
    table = {
        line.rsplit(maxsplit=4)[0].strip(): line.split()[-4:] for line in lines if "0." in line
    }
    assert table["model"] == ["0.250", "0.35", "0.450", "0.550"]
    assert table["floor: another real chain"] == ["0.200", "1.20", "2.200", "3.200"]
    assert "structures sampled in epoch 150" in text


WRONG = {
    "recipe.toml": [
        "",
        "[resolved",
        'schema = 99\n[resolved]\nid = "x"',
        "[training]\nepochs = 30",
    ],
    "environment.json": ["", "[1]", '{"started": ["x"], "seed'],
    "metrics.csv": [
        "",
        "epoch,step\n1,x\n",
        "step\n3\n",
        "epoch,a,b\n1,2\n2,3,4,5\n",
        "epoch\n1.5",
    ],
    "state.safetensors": ["", "junk", "\x02\0\0\0\0\0\0\0{}"],
    "steps.jsonl": ["{}\n", "junk\n", "[]\n"],
    "migration.json": ["[]", "{", "{}"],
    "best.safetensors": ["junk"],
}


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, texts in WRONG.items() for t in texts])
def test_what_is_wrong_is_said_and_the_rest_shown(
    tmp_path: Path, capsys: Captured, name: str, text: str
) -> None:
    directory = write_run(tmp_path / "run", epochs=rows(6, best=4))
    write_state(directory, step=240, epoch=7, best_epoch=4)
    (directory / name).write_text(text)
    harmless = (name, text) in (("metrics.csv", ""), ("migration.json", "{}"))
    for command in (["list", str(tmp_path)], ["show", str(directory)]):
        assert run(["runs", *command]) == 0
        done = capsys.readouterr()
        assert "run" in done.out
        about_weights = name.startswith(("best", "migration")) and command[0] == "list"
        assert (name in done.err) or harmless or about_weights, done
        assert len(done.err.splitlines()) <= 4
    assert read_run(directory).standing == ("damaged" if "state" in name else "resumable")


def test_no_cut_or_flipped_byte_is_an_error(tmp_path: Path) -> None:
    whole = write_run(tmp_path / "whole", epochs=rows(3, best=2))
    write_state(whole, step=120, epoch=4, best_epoch=2)
    dice = random.Random(0)
    for name in ("recipe.toml", "environment.json", "metrics.csv", "state.safetensors"):
        content = (whole / name).read_bytes()
        for _ in range(60):
            place = dice.randrange(len(content))
            flipped = content[:place] + bytes([dice.randrange(256)]) + content[place + 1 :]
            for damaged in (content[:place], flipped):
                (whole / name).write_bytes(damaged)
                record = read_run(whole)
                assert record.standing in ("finished", "resumable", "damaged", "no state")
                assert all(problem.startswith(name) for problem in record.problems)
                assert all(math.isfinite(value) for value in record.scores.values())
        (whole / name).write_bytes(content)


def test_a_killed_run_is_as_far_as_its_last_whole_line(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", epochs=rows(2, best=1))
    with (directory / "steps.jsonl").open("a") as file:
        file.write('{"step": 81}\n{"step": 82, "tr')
    record = read_run(directory)
    assert (record.step, record.problems) == (81, ())


def test_a_state_of_a_newer_schema_is_told(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", epochs=rows(2, best=2))
    write_state(directory, step=80, schema=2)
    record = read_run(directory)
    assert record.standing == "damaged"
    assert "schema 2 is newer" in record.problems[0]


def test_an_epoch_that_was_cut_has_no_score(tmp_path: Path, capsys: Captured) -> None:
    cut = {"epoch": 3, "step": 100, "train/total_fixed": 9.0, "seconds": 1.0}
    directory = write_run(tmp_path / "run", epochs=[*rows(2, best=2), cut])
    record = read_run(directory)
    assert (record.epoch, record.best, record.last) == (3, (2, 3.25), 3.25)
    cells = [line.split() for line in shown(directory, capsys).splitlines()]
    assert ["3", "9.000", *["–"] * 5, "1"] in cells


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: Captured) -> None:
    with pytest.raises(RequestError, match="no directory"):
        find_runs(tmp_path / "gone")
    for path, says in ((tmp_path, "is no run directory"), (tmp_path / "gone", "does not exist")):
        assert run(["runs", "show", str(path)]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert "minifold runs list" in error
    assert run(["runs", "list", str(tmp_path)]) == 0
    assert "no run in" in capsys.readouterr().out
