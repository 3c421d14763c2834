"""What calls of ``minifold gates`` leave for later ones."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minifold_core.data.dataset import open_dataset
from minifold_core.errors import RequestError
from minifold_core.gates import inputs
from minifold_core.gates.inputs import inputs_of
from minifold_core.gates.kept import Kept
from minifold_core.gates.record import Finding, GateReport, Outcome
from minifold_core.recipe import load_recipe

Command = Callable[..., subprocess.CompletedProcess[str]]
EMPTY = GateReport("v13", "nano", 0, "demo", {"recipe": "a", "code": "b"}, ())


def found(gate: str, outcome: Outcome = Outcome.PASS) -> Finding:
    return Finding(gate, "asked", "seen", outcome, {"mean": 0.1})


def recorded(path: Path) -> list[str]:
    return [row["gate"] for row in json.loads(path.read_text())["findings"]]


def test_a_gate_joins_those_that_an_earlier_call_found(minifold: Command, tmp_path: Path) -> None:
    gates, path = ("gates", "v13", "--out", tmp_path), tmp_path / "v13" / "gates.json"
    first = minifold(*gates, "--gate", "g1")
    second = minifold(*gates, "--gate", "g0", "--gate", "g1")
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert f"v13: g1 as found before, nothing has changed: {path}" in second.stderr
    assert "passes g0, g1." in second.stdout
    assert recorded(path) == ["g0", "g1"]
    other = minifold(*gates, "--gate", "g0", "--set", "sampling.steps=10")
    assert f"replacing g0, g1 in {path}: found with a different recipe" in other.stderr
    assert recorded(path) == ["g0"]


def test_findings_hold_until_what_they_depend_on_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Kept(tmp_path, EMPTY)
    for finding in (found("g2"), found("g0"), found("g3", Outcome.FAILED)):
        kept.add(finding)
    again = Kept(tmp_path, replace(EMPTY, data="the same, moved"))
    assert [again.of(gate) for gate in ("g0", "g1", "g2")] == [found("g0"), None, found("g2")]
    assert again.of("g3") is None, "what could not be run is tried again"
    assert capsys.readouterr().err == ""
    for now, word in (
        (replace(EMPTY, seed=1), "seed"),
        (replace(EMPTY, inputs=EMPTY.inputs | {"code": "c"}), "code"),
    ):
        assert Kept(tmp_path, now).of("g0") is None
        assert capsys.readouterr().err.endswith(f"found with a different {word}\n")
    assert recorded(kept.path) == ["g0", "g2", "g3"], "nothing is replaced before there is better"


def test_inputs_see_recipe_data_weights_and_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chains, cpu = list(open_dataset())[:3], torch.device("cpu")

    def changed(other: dict[str, str]) -> list[str]:
        return [name for name, value in before.items() if other[name] != value]

    recipe = load_recipe("v13", "nano")
    before = inputs_of(recipe, chains, cpu)
    assert changed(inputs_of(load_recipe("v13", "nano"), chains, cpu)) == []
    assert changed(inputs_of(recipe, chains[:2], cpu)) == ["data"]
    assert changed(inputs_of(load_recipe("v13", "nano", values={"sampling.eta": 0.5}), chains, cpu))
    moved = replace(chains[0], backbone=chains[0].backbone + 1)
    assert changed(inputs_of(recipe, [moved, *chains[1:]], cpu)) == ["data"]

    assert list(inputs.first_weights(recipe)) == ["encoder"]
    with monkeypatch.context() as patch:
        patch.setattr(inputs, "first_weights", lambda recipe: {"encoder": Path(__file__)})
        assert changed(inputs_of(recipe, chains, cpu)) == ["weights"]

    sources, edited = inputs._sources, tmp_path / "denoiser.py"
    edited.write_text("# edited")
    ours = sources("minifold_ipa")
    assert any(path.name == "denoiser.py" for path in ours)
    monkeypatch.setattr(
        inputs,
        "_sources",
        lambda name: [
            edited if (name, path.name) == ("minifold_ipa", "denoiser.py") else path
            for path in sources(name)
        ],
    )
    assert changed(inputs_of(recipe, chains, cpu)) == ["code"]


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "gates.json"
    for text in ("{", "[]", '{"version": "v13"}'):
        path.write_text(text)
        with pytest.raises(RequestError, match=r"gates\.json is damaged .*move it away"):
            Kept(tmp_path, EMPTY)
        assert path.read_text() == text
