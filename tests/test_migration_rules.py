"""Migration rules: weights of a component whose version rose."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from migration_helpers import edited, structure
from minifold_core.components import ComponentSpec
from minifold_core.errors import MinifoldError, ProtectedError
from minifold_core.weights import rules, verdicts
from minifold_core.weights.plan import Plan, plan_migration
from minifold_core.weights.structure import Structure

RULES = """
[denoiser.ipa.2.rename]
"blocks.*.attn" = "blocks.*.attention"
[denoiser.ipa.2.drop]
"gone" = "nothing read it"
[denoiser.ipa.3.rename]
"blocks" = "layers"
[denoiser.ipa.3.fresh]
"gate" = "new in 3"
"""
OLD = {"blocks.0.attn.q": (2,), "blocks.1.attn.q": (2,), "blocks.1.ffn": (3,), "gone.w": (4,)}
NEW = {"layers.0.attention.q": (2,), "layers.1.attention.q": (2,), "layers.1.ffn": (3,)}


@pytest.fixture
def ipa(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ComponentSpec:
    """A plugin's component at version 3, with a file of rules beside its config."""
    package = tmp_path / "risen_plugin"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('rules are read without importing')")
    (package / "migrations.toml").write_text(RULES)
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = ComponentSpec("denoiser", "ipa", "risen_plugin.config:C", "x:Y", "", version=3)
    monkeypatch.setattr(verdicts, "component", lambda kind, name: spec)
    return spec


def risen(version: int, tensors: dict[str, tuple[int, ...]], source: Structure) -> Structure:
    """v13 whose denoiser is of a version and holds other tensors."""
    assert source.parts is not None
    part = replace(source.parts["denoiser"], version=version)
    kept = {n: s for n, s in source.tensors.items() if not n.startswith("denoiser.")}
    names = {f"denoiser.{name}": shape for name, shape in tensors.items()}
    return replace(source, tensors=kept | names, parts={**source.parts, "denoiser": part})


def denoisers(old: dict[str, tuple[int, ...]], new: dict[str, tuple[int, ...]]) -> Plan:
    v13 = structure("v13", "nano")
    return plan_migration(risen(1, old, v13), risen(3, new, v13))


def test_rules_of_each_step_are_followed_in_turn(ipa: ComponentSpec) -> None:
    made = denoisers(OLD, NEW | {"gate.w": (9,)})
    made.check()
    found = {
        (e.source or "", e.target or ""): (e.verdict, e.why)
        for e in made.entries
        if e.slot == "denoiser"
    }
    assert found == {
        ("denoiser.blocks.0.attn.q", "denoiser.layers.0.attention.q"): ("renamed", ""),
        ("denoiser.blocks.1.attn.q", "denoiser.layers.1.attention.q"): ("renamed", ""),
        ("denoiser.blocks.1.ffn", "denoiser.layers.1.ffn"): ("renamed", ""),
        ("", "denoiser.gate.w"): ("fresh", "new in 3"),
        ("denoiser.gone.w", ""): ("dropped", "nothing read it"),
    }


def test_rules_hold_in_any_slot_and_model(ipa: ComponentSpec) -> None:
    moved = rules.move(ipa, 2, ["blocks.5.attention.q", "other"])
    assert moved.names == {"layers.5.attention.q": "blocks.5.attention.q", "other": "other"}


def test_a_component_of_other_shapes_is_told_what_to_write_and_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody changed a layer and left the version as it was."""
    new = structure("v13", "nano")
    old = edited(new, "shape")
    with pytest.raises(ProtectedError, match="if 'ipa' changed since the file was written") as told:
        plan_migration(old, new).check()
    rules = re.findall(r'(\[denoiser\.ipa\.2\.\w+\]) (".+?" = "why")', str(told.value))
    package = tmp_path / "reshaped_plugin"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "migrations.toml").write_text("\n".join(f"{table}\n{rule}" for table, rule in rules))
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = ComponentSpec("denoiser", "ipa", "reshaped_plugin.config:C", "x:Y", "", version=2)
    monkeypatch.setattr(verdicts, "component", lambda kind, name: spec)
    tensors = {n.removeprefix("denoiser."): s for n, s in new.slots["denoiser"].items()}
    made = plan_migration(old, risen(2, tensors, new))
    made.check()
    changed = [e.verdict for e in made.entries if e.slot == "denoiser" and e.verdict != "copied"]
    assert sorted(changed) == ["dropped", "fresh"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[denoiser.ipa.2.rename]\n"no.such" = "x"', "'no.such' matches nothing"),
        (
            '[denoiser.ipa.2.rename]\n"blocks.0" = "x"\n"blocks.*.attn" = "y.*"',
            "'blocks.0' and 'blocks.*.attn' both match 'blocks.0.attn.q'",
        ),
        (
            '[denoiser.ipa.2.rename]\n"gone" = "x"\n[denoiser.ipa.2.drop]\n"gone" = "y"',
            "'gone' and 'gone' both match",
        ),
        ('[denoiser.ipa.2.rename]\n"blocks.*" = "x"', "both become 'x.attn.q'"),
        ("[denoiser.ipa.3]", "says nothing of weights of its version 1; add [denoiser.ipa.2]"),
        ('[denoiser.ipa.2]\n[denoiser.ipa.3.fresh]\n"lost" = "y"', "fresh 'lost' matches nothing"),
        ("[denoiser.ipa.2]\nresize = 1", "cannot be read"),
        ("schema = 7", "has schema 7; update minifold"),
    ],
)
def test_wrong_rules_are_errors(ipa: ComponentSpec, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "risen_plugin" / "migrations.toml").write_text(text)
    with pytest.raises(MinifoldError) as error:  # noqa: PT012 - some are found while planning
        made = denoisers(OLD, NEW)
        raise MinifoldError("; ".join(fault.what for fault in made.faults))
    assert said in str(error.value)


def test_an_unexplained_tensor_prints_the_rule_to_add(
    ipa: ComponentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minifold_core.weights import mend

    monkeypatch.setattr(mend, "component", lambda kind, name: ipa)
    old = OLD | {"extra.w": (1,)}
    with pytest.raises(ProtectedError) as error:
        denoisers(old, NEW | {"gate.w": (9,)}).check()
    assert "'denoiser.extra.w' is in the file alone" in str(error.value)
    rule = 'add to risen_plugin/migrations.toml: [denoiser.ipa.2.drop] "extra.w" = "why"'
    assert rule in str(error.value)


def test_weights_newer_than_the_component_are_refused() -> None:
    v13 = structure("v13", "nano")
    assert v13.parts is not None
    part = replace(v13.parts["denoiser"], version=2)
    newer = replace(v13, parts={**v13.parts, "denoiser": part})
    with pytest.raises(ProtectedError, match=r"made by ipa/2, newer than ipa/1"):
        plan_migration(newer, v13).check()
