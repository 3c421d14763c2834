"""A plugin that is installed and not named changes no bit of anything that minifold does."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minifold_core.discovery import find_versions

PLUGIN = Path(__file__).parents[1] / "plugins" / "sidechain"
OWN = [n for n, p in find_versions().items.items() if p.origin.distribution == "minifold"]
SAMPLED = ("v10", "v14")
WORK = """
import sys
from minifold_core.cli.main import run
from minifold_core.discovery import find_components

versions, sampled, switch = (words.split() for words in sys.argv[1:])
for name in versions:
    assert not run([*switch, "train", name, "--size", "nano", "--max-steps", "2",
                    "--run-dir", name])
for name in sampled:
    assert not run([*switch, "sample", name, "--sequence", "MQIFVKTLTGKTITLEVEPS", "--steps", "2",
                    "--out", "samples-" + name])
print("head/sidechain" in find_components().items)
"""


def installed(site: Path) -> str:
    """The plugin as a directory of ``sys.path`` where it is installed."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    name = project["name"].replace("-", "_")
    info = site / f"{name}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (site / name).symlink_to(PLUGIN / name)
    return str(site)


def work(home: Path, path: str, switch: str) -> str:
    """Train every version of minifold's own and sample two of them; the last line that was said."""
    home.mkdir()
    path = os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", WORK, " ".join(OWN), " ".join(SAMPLED), switch],
        cwd=home,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def atoms(path: Path) -> list[str]:
    """The lines after the header, which names the file of the weights by its hash."""
    lines = path.read_text().splitlines()
    found = [line for line in lines if line.startswith(("ATOM", "TER", "END"))]
    assert len(found) > 20
    return found


@pytest.mark.slow(seconds=150)
def test_no_run_of_any_version_knows_that_a_plugin_is_installed(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "without", tmp_path / "with"
    assert work(ours, "", "--no-plugins") == "False"
    assert work(theirs, installed(tmp_path / "site"), "") == "True"
    for name in OWN:
        for kind in ("best", "last"):
            first, second = (load_file(d / name / f"{kind}.safetensors") for d in (ours, theirs))
            assert first.keys() == second.keys()
            assert all(torch.equal(first[key], second[key]) for key in first), (name, kind)
        for row, other in zip(rows(ours / name), rows(theirs / name), strict=True):
            assert row.keys() == other.keys()
            assert {key for key in row if row[key] != other[key]} <= {"seconds"}, name
    for name in SAMPLED:
        (one, two) = (d / f"samples-{name}" / "sequence.pdb" for d in (ours, theirs))
        assert atoms(one) == atoms(two), name
