"""The conformance kit passes sound components and catches every fault by name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from minifold_core.components import ComponentSpec, Kind
from minifold_core.errors import RequestError
from minifold_core.light import HEAVY
from minifold_core.testing import Case, ConformanceError, cases, check_component
from plugin_files import HOOKS, write_distribution

Minifold = Callable[..., subprocess.CompletedProcess[str]]
CONFIGS: dict[Kind, str] = {
    "head": "broken_configs:HeadConfig",
    "denoiser": "broken_configs:DenoiserConfig",
    "loss": "broken_configs:LossConfig",
    "metric": "broken_configs:LossConfig",
    "process": "minifold_ddpm.config:DDPMConfig",
}


def spec(implementation: str, config: str = "", **more: object) -> ComponentSpec:
    """The component of that class; the class name ends in its kind."""
    (kind,) = (kind for kind in CONFIGS if implementation.lower().endswith(kind))
    return ComponentSpec(
        kind,
        implementation.lower(),
        config or CONFIGS[kind],
        implementation if ":" in implementation else f"broken_components:{implementation}",
        "made for a test",
        **more,  # type: ignore[arg-type]
    )


SOUND = ("SoundHead", "SoundDenoiser", "FrankDenoiser", "SoundLoss", "SoundMetric")


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_component_passes(name: str) -> None:
    check_component(spec(name))


@pytest.mark.parametrize(
    ("name", "check", "sentence"),
    [
        ("LeakyHead", "padding", "'marks' of chain 1 differs from that of the chain alone"),
        ("MixingHead", "padding", "padding or batch mates leak into it"),
        ("OrderedHead", "padding", "'marks' depends on the order of the batch"),
        ("UnmaskedHead", "padding", "'marks' is not 0 off the mask"),
        ("NarrowHead", "ports", r"'marks\[B,L,k\]' of width 4 has shape \(3, 11, 3\)"),
        ("GenerousHead", "ports", "it gives marks, more; its config declares marks"),
        ("SinglePrecisionHead", "ports", "'marks' is torch.float32 though weights and inputs"),
        ("HomeboundHead", "placement", "it makes a tensor on the default device"),
        ("GreedyHead", "ports", r"\(full, without contacts\), ports: it raises AssertionError"),
        ("WritingHead", "ports", "it writes into its input 'single'"),
        ("IdleHead", "gradients", "spare.weight has no gradient: no output depends on it"),
        ("RecomputingHead", "gradients", "with checkpointing the gradient of .* changes"),
        ("RandomHead", "determinism", "'marks' differs from one call to the next in evaluation"),
        ("LuckyHead", "determinism", "net.1.bias starts differently from the same seed"),
        ("RootedDenoiser", "symmetry", "'coords' does not move with a turn and shift"),
        ("PointedDenoiser", "finite", "'coords' is not finite"),
        ("CoarseDenoiser", "autocast", "'coords' is torch.bfloat16 under bfloat16 autocast"),
        ("ForgetfulDenoiser", "prepared", "'coords' changes with what it prepared"),
        ("HoardingDenoiser", "prepared", r"'kept', which it prepares, has shape \(11, "),
        ("ScalarLoss", "ports", r"its value has shape \(\) for 3 proteins"),
        ("CuriousLoss", "ports", "it raises KeyError: 'log_rg'"),
        ("PaddedLoss", "padding", "its value of protein 1 differs from that of the protein alone"),
        ("OffsetLoss", "finite", "its value is not 0 for a protein without residues"),
        ("PosedLoss", "symmetry", "its value changes when prediction and truth move together"),
        ("NormLoss", "finite", "the gradient of 'coords' is not finite"),
        ("HalfBlindLoss", "gradients", "its gradient is not that of its value"),
        ("BlindLoss", "gradients", "it has no gradient in any of its ports"),
        ("CoarseLoss", "autocast", "its value is torch.bfloat16, not float32"),
        ("EndlessMetric", "finite", "figure 'per_residue' is infinite"),
        ("LumpMetric", "ports", r"figure 'spread' has shape \(\) for 3 proteins"),
        ("RisingProcess", "levels", "snr does not fall from each time to the next"),
        ("ShortProcess", "levels", "1 steps asked for, trajectory has 0"),
        ("DriftingProcess", "noise", "prior is not centred"),
        ("ExplodingProcess", "variance", "does not hold the structure times the root"),
        ("QuietProcess", "variance", "noise at time 0 is 0.0058, and not the root of"),
        ("SharingProcess", "independence", "prior of protein 2 depends on batch mates"),
        ("DeafProcess", "temperature", "the same noise at temperature 1 as at 0"),
        ("HastyProcess", "steps", "the step to no noise does not return the prediction"),
    ],
)
def test_a_fault_is_caught_by_name(name: str, check: str, sentence: str) -> None:
    broken = spec(name)
    with pytest.raises(ConformanceError, match=sentence) as caught:
        _case(broken, check).run()
    said = str(caught.value)
    assert said.startswith(f"{broken.kind} '{name.lower()}' (full")
    assert f"{check}: " in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("config", "check", "sentence"),
    [
        ("broken_components:TorchConfig", "config", "module broken_components imports torch"),
        ("broken_configs:OpenHeadConfig", "config", "an unknown setting is accepted"),
        ("broken_configs:MisspeltHeadConfig", "ports", "'sinlge'; did you mean 'single'?"),
        ("broken_configs:Missing", "config", "'broken_configs:Missing' cannot be imported"),
    ],
)
def test_a_faulty_config_is_caught_by_name(config: str, check: str, sentence: str) -> None:
    with pytest.raises(ConformanceError, match=sentence.replace("?", r"\?")):
        _case(spec("SoundHead", config), check).run()


def test_weights_that_nothing_could_train_are_caught() -> None:
    judging = spec("JudgingHead", "broken_configs:JudgingHeadConfig")
    with pytest.raises(ConformanceError, match=r"weight cannot be learned: training has no sam"):
        _case(judging, "gradients").run()


def test_a_preset_that_a_recipe_cannot_hold_is_caught() -> None:
    preset = {"nano": {"limit": None}}
    lossy = spec("SoundHead", "broken_configs:ForgetfulHeadConfig", sizes=preset)
    with pytest.raises(ConformanceError, match=r"\(nano\), config: .* comes back from TOML"):
        _case(lossy, "config").run()


def test_a_component_of_another_kind_is_caught() -> None:
    stray = ComponentSpec("head", "x", CONFIGS["head"], "broken_components:SoundLoss", "")
    with pytest.raises(ConformanceError, match="broken_components:SoundLoss is no Head"):
        _case(stray, "ports").run()


def test_an_authors_own_config_is_checked_too() -> None:
    head = spec("SoundHead")
    wide = head.config_class().model_validate({"width": 5})
    with pytest.raises(ConformanceError, match=r"\(own 1\), ports: .* of width 5"):
        check_component(head, [wide])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(RequestError, match="did you mean 'heads'"):
        cases("headz")


def _case(component: ComponentSpec, check: str) -> Case:
    (case,) = (case for case in cases(component) if case.check.name == check)
    return case


PLUGIN = (
    HOOKS
    + """
@hookimpl
def minifold_components():
    return [ComponentSpec("head", "leaky", "broken_configs:HeadConfig",
                          "broken_components:LeakyHead", "leaks")]
"""
)


@pytest.fixture
def strangers(tmp_path: Path) -> str:
    """Two installed distributions, one that loads and has a fault, and one that does not load."""
    for name, source in {"leaky": PLUGIN, "torn": "import nothing_of_that_name"}.items():
        write_distribution(tmp_path, name, name, source)
    return f"{tmp_path}:{Path(__file__).parent}"


def test_plugins_list_shows_origin_offers_and_state(minifold: Minifold, strangers: str) -> None:
    done = minifold("plugins", "list", "--json", PYTHONPATH=strangers)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {(row["kind"], row["name"]): row for row in json.loads(done.stdout)}
    assert rows["plugin", "pairs"]["components"] == ["pair_stack/axial", "pair_stack/triangle"]
    assert rows["plugin", "pairs"]["distribution"] == "minifold"
    assert rows["plugin", "leaky"]["module"] == "leaky"
    assert rows["plugin", "leaky"]["load_ms"] > 0
    assert rows["version", "v13"]["ok"]
    torn = rows["plugin", "torn"]
    assert not torn["ok"]
    assert "nothing_of_that_name" in torn["problems"][0]["cause"]
    assert torn["problems"][0]["mend"] == "pip install nothing_of_that_name, or uninstall torn"
    text = minifold("plugins", "list", PYTHONPATH=strangers).stdout
    assert "head leaky" in text
    assert "broken: torn: importing torn raises ModuleNotFoundError" in text


def test_plugins_list_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom minifold_core.cli.main import run\n"
        "code = run(['plugins', 'list'])\n"
        f"print(code, [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"


def test_plugins_check_tells_the_fault_and_fails(minifold: Minifold, strangers: str) -> None:
    done = minifold("plugins", "check", "leaky", PYTHONPATH=strangers)
    assert (done.returncode, done.stderr) == (1, "")
    assert "ok   head/leaky config: " in done.stdout
    assert "FAIL head 'leaky' (full), padding: 'marks' of chain 1" in done.stdout
    done = minifold("plugins", "check", "torn", PYTHONPATH=strangers)
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAIL torn (torn 1.0): importing torn raises ModuleNotFoundError" in done.stdout


def test_plugins_check_of_a_version_names_its_components(minifold: Minifold) -> None:
    done = minifold("plugins", "check", "v8")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'v8' is a version; check one of its components: encoder/contact" in done.stderr
    assert "denoiser/egnn" in done.stderr
    assert "minifold train v8 --dry-run" in done.stderr


def test_plugins_check_passes_a_component(minifold: Minifold) -> None:
    done = minifold("plugins", "check", "head/rg", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert {row["component"] for row in rows} == {"head/rg"}
    assert all(row["ok"] for row in rows)
