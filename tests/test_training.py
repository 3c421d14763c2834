"""Training: steps, accumulation, noise copies, faults, validation, and what a run leaves behind."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
import torch

from minifold_core.assembly import assemble
from minifold_core.cli.fitting import announce
from minifold_core.console import note
from minifold_core.data.dataset import open_dataset
from minifold_core.errors import MinifoldError, ProtectedError
from minifold_core.interfaces import Loss
from minifold_core.recipe import Recipe, load_recipe
from minifold_core.training import run as run_module
from minifold_core.training import stepper as stepper_module
from minifold_core.training.options import Options
from minifold_core.training.parallel import Group
from minifold_core.training.randomness import generator
from minifold_core.training.run import Run
from minifold_core.training.trainer import Trainer
from minifold_core.training.validation import validate
from minifold_core.weights.header import read_header
from minifold_core.weights.io import load_model
from training_helpers import CPU, batch_of, fit, gradients, trainer


def steps(count: int) -> Options:
    return Options(CPU, max_steps=count, data="demo")


@pytest.mark.parametrize(
    "parts", [[[0, 3, 8], [9, 10]], [[0], [3], [8], [9], [10]], [[10, 0], [8, 3, 9]]]
)
def test_accumulated_batches_equal_one_large_batch(parts: list[list[int]]) -> None:
    """Uneven batches, padding and masked residues included: every protein weighs the same."""
    one = gradients(trainer(), [[0, 3, 8, 9, 10]], 5)
    several = gradients(trainer(), parts, 5)
    scale = max(float(g.abs().max()) for g in one)
    for a, b in zip(one, several, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6 * scale, rtol=1e-4)


def test_noise_copies_are_the_mean_over_states_and_the_trunk_is_run_and_judged_once() -> None:
    made = trainer(training__noise_copies=3, training__self_conditioning=0)
    calls: Counter[str] = Counter()
    for slot in ("pair_stack", "denoiser"):
        made.model.part(slot).register_forward_hook(lambda *_, slot=slot: calls.update([slot]))
    losses = made.stepper.objective.losses
    for name in ("aux_dist", "fape"):

        def counted(*given: Any, name: str = name, loss: Loss = losses[name]) -> torch.Tensor:
            calls.update([name])
            return loss(*given)

        losses[name] = counted  # type: ignore[assignment]
    together = gradients(made, [[0, 3]], 2)
    assert calls == {"pair_stack": 1, "denoiser": 3, "aux_dist": 1, "fape": 3}
    alone = []
    for copy in range(3):
        single = trainer(training__self_conditioning=0)

        def chosen(seed: int, *where: int | str, copy: int = copy) -> torch.Generator:
            return generator(seed, *where[:-1], copy if "noise" in where else where[-1])

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stepper_module, "generator", chosen)
            alone.append(gradients(single, [[0, 3]], 2))
    for mean, *each in zip(together, *alone, strict=True):
        torch.testing.assert_close(mean, sum(each) / 3, atol=1e-5, rtol=1e-3)


def test_validation_is_repeatable_and_its_bins_average_to_the_whole() -> None:
    made = trainer()
    objective = made.stepper.objective
    first, again = (
        validate(made.model, objective, made._validation_batches(), 1).means() for _ in range(2)
    )
    assert first == again
    one_by_one = trainer(training__batch_size=1)
    alone = validate(made.model, objective, one_by_one._validation_batches(), 1).means()
    assert alone == pytest.approx(first, rel=1e-4)
    for term in made.model.recipe.active_losses:
        bins = [value for key, value in first.items() if key.startswith(f"val/{term}@")]
        assert len(bins) == 4
        assert first[f"val/{term}"] == pytest.approx(sum(bins) / 4)
    for name, epoch in (("val/total", 1), ("val/total_fixed", 10**6)):
        weighted = (
            term.weight_at(epoch) * first[f"val/{n}"]
            for n, term in made.model.recipe.active_losses.items()
        )
        assert first[name] == pytest.approx(sum(weighted))


def test_a_run_leaves_what_the_contract_names(tmp_path: Path) -> None:
    made = trainer("v12b", steps(6), training__sample_every=1, training__sample_chains=2)
    run = fit(made, tmp_path).directory
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[-1]["step"] == "6"
    terms = [*made.model.recipe.active_losses, "total"]
    health = ("lr", "grad_norm", "update")
    for column in [
        *(f"{part}/{term}" for part in ("train", "val") for term in terms),
        *(f"val/{term}@t500-750" for term in terms[:-1]),
        "val/total_fixed",
        *(f"{what}/{slot}" for what in health for slot in ("pair_stack", "heads.rg")),
        *("tripwire/pair_stack", "skipped"),
        *(f"{who}/{score}" for who in ("sampled", "floor/one point") for score in ("tm", "rmsd")),
    ]:
        assert math.isfinite(float(rows[-1][column])), column
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 7))
    assert json.loads((run / "environment.json").read_text())["schema"] == 1
    assert load_recipe(run / "recipe.toml").to_tables() == made.model.recipe.to_tables()
    header = read_header(run / "last.safetensors")
    assert (header.step, header.epoch, header.encoder) == (6, 2, "random")
    model, _ = load_model(run / "last.safetensors")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, made.stepper.ema.tensors[name], atol=0, rtol=0)


@pytest.mark.slow
def test_the_best_and_the_kept_weights_are_those_of_the_lowest_totals(tmp_path: Path) -> None:
    made = trainer(options=replace(steps(20), keep="every 4, best 1"))
    run = fit(made, tmp_path)
    rows = run.epochs()
    best = min(rows, key=lambda row: float(row["val/total_fixed"]))
    assert read_header(run.best).epoch == int(best["epoch"])
    kept = {path.name for path in run.directory.glob("v13-e*")}
    assert kept == {"v13-e4.safetensors", f"v13-e{best['epoch']}.safetensors"}


def test_a_slot_that_no_loss_reaches_does_not_train_and_does_not_stop_training(
    tmp_path: Path,
) -> None:
    made = trainer(losses__aux_dist__weight=0.0)
    before = {n: p.clone() for n, p in made.model.part("aux_pair_stack").named_parameters()}
    fit(made, tmp_path)
    for name, parameter in made.model.part("aux_pair_stack").named_parameters():
        assert torch.equal(parameter, before[name])


def test_a_parameter_that_no_loss_reaches_stops_the_first_step(tmp_path: Path) -> None:
    made = trainer()
    made.model.denoiser.register_parameter("forgotten", torch.nn.Parameter(torch.zeros(2)))
    made = Trainer(made.model, made.train_set, made.validation_set, made.options)
    with pytest.raises(
        MinifoldError, match=r"'denoiser.forgotten' is trainable but no loss reaches it"
    ):
        fit(made, tmp_path)


def test_one_bad_batch_is_skipped_and_named_and_the_weights_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = trainer()
    stepper = made.stepper
    before = {name: p.clone() for name, p in made.model.named_parameters()}
    handle = made.model.denoiser.register_forward_hook(_poison)
    report = stepper.take([batch_of(made, [0, 3])], 2, 1, 1e-3)
    handle.remove()
    assert report.health["skipped"] == 1
    said = capsys.readouterr().err
    assert made.train_set.names[0] in said
    assert "step 1 skipped: loss is not finite" in said
    assert "first in module 'denoiser'" in said
    assert all(torch.equal(p, before[name]) for name, p in made.model.named_parameters())
    assert stepper.take([batch_of(made, [0, 3])], 2, 1, 1e-3).health["skipped"] == 0
    assert stepper.skipped == 0


class WithAnother(Group):
    """The first of two processes, the other of which has a loss that is not finite."""

    def highest(self, value: int) -> int:
        return 1

    def first_word(self, text: str) -> str:
        return text or "loss is not finite for 1abc.A"


def test_a_bad_batch_of_another_process_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    made = trainer()
    made.stepper.group = WithAnother()
    assert made.stepper.take([batch_of(made, [0])], 2, 1, 1e-3).health["skipped"] == 1
    assert "step 1 skipped: loss is not finite for 1abc.A" in capsys.readouterr().err


def test_norms_that_are_not_finite_spoil_no_mean_and_no_record(tmp_path: Path) -> None:
    made = trainer(options=steps(3))
    made.stepper.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-99)
    run = fit(made, tmp_path)
    logged = [json.loads(line) for line in (run.directory / "steps.jsonl").open()]
    assert sum(record["skipped"] for record in logged) == 1
    norms = [record["grad_norm/denoiser"] for record in logged if not record["skipped"]]
    assert [record["grad_norm/denoiser"] for record in logged if record["skipped"]] == [None]
    assert float(run.epochs()[0]["grad_norm/denoiser"]) == pytest.approx(sum(norms) / 2, rel=1e-4)


def test_a_failed_sampling_does_not_end_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*arguments: object, **named: object) -> None:
        raise MinifoldError("out of memory")

    monkeypatch.setattr("minifold_core.training.watch.fold", fails)
    run = fit(trainer(training__sample_every=1), tmp_path)
    assert "no samples in epoch 1: out of memory" in capsys.readouterr().err
    assert "val/total_fixed" in run.epochs()[0]
    assert "sampled/tm" not in run.epochs()[0]


def _poison(module: object, inputs: object, output: dict[str, torch.Tensor]) -> dict[str, object]:
    return output | {"coords": output["coords"] * math.inf}


def test_too_many_bad_steps_on_end_stop_the_run_with_its_state_saved(tmp_path: Path) -> None:
    made = trainer(options=steps(9), training__max_skipped=3)
    before = {name: p.clone() for name, p in made.model.named_parameters()}
    made.model.denoiser.register_forward_hook(_poison)
    with pytest.raises(MinifoldError, match="3 steps on end were not finite"):
        fit(made, tmp_path)
    again = trainer(options=steps(9), training__max_skipped=3)
    again.resume(Run(tmp_path / "run"))
    assert again.progress.step == 2
    assert all(torch.equal(p, before[name]) for name, p in again.model.named_parameters())


def test_want_of_memory_ends_a_training_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer()

    def full(*given: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(made.stepper, "take", full)
    with pytest.raises(MinifoldError, match=r"out of memory after step 0; .*checkpointing=true"):
        fit(made, tmp_path)


def test_infinite_gradients_are_skipped_too(capsys: pytest.CaptureFixture[str]) -> None:
    made = trainer()
    parameter = next(made.model.denoiser.parameters())
    parameter.register_hook(lambda gradient: gradient * math.inf)
    assert made.stepper.take([batch_of(made, [0])], 1, 1, 1e-3).health["skipped"] == 1
    assert "gradients are not finite" in capsys.readouterr().err


def test_a_starved_module_is_stirred(tmp_path: Path) -> None:
    made = trainer("v12b", training__tripwire__steps=2)
    for parameter in made.model.part("pair_stack").parameters():
        parameter.register_hook(torch.zeros_like)
    stirred = [
        made.stepper.take([batch_of(made, [0])], 1, 1, 1e-3).health["tripwire/pair_stack"]
        for _ in range(3)
    ]
    assert stirred == [0, 1, 1]
    assert "tripwire/pair_stack" not in (
        trainer("v12").stepper.take([batch_of(made, [0])], 1, 1, 1e-3).health
    )


def test_training_stops_when_patience_is_out(tmp_path: Path) -> None:
    made = trainer(options=steps(100), training__patience=2, training__learning_rate=1e-12)
    scores = iter([3.0, 2.0, 2.5, 2.4, 1.0])
    made._validate = lambda epoch: {"val/total_fixed": next(scores)}  # type: ignore[method-assign]
    run = fit(made, tmp_path)
    assert [row["epoch"] for row in run.epochs()] == ["1", "2", "3", "4"]
    assert made.progress.best_epoch == 2


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precisions_learn_as_float32_does(precision: str, tmp_path: Path) -> None:
    totals = {}
    for name in ("fp32", precision):
        made = trainer(options=replace(steps(12), precision=name))
        fit(made, tmp_path / name)
        row = Run(tmp_path / name / "run").epochs()[-1]
        totals[name] = float(row["val/total_fixed"])
        note(f"{name}: {totals[name]}")
    assert totals[precision] == pytest.approx(totals["fp32"], rel=0.1)


def test_chains_that_nothing_turns_are_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    options, data = Options(CPU, data="demo"), open_dataset()
    for version, parts, warned in (
        ("v8", {}, False),
        ("v8", {"denoiser": "transformer"}, True),
        ("v13", {}, True),  # in noise its frames are the axes of the file
        ("v13-gate", {}, False),
        ("v15", {}, False),
    ):
        announce(assemble(version, "nano", parts), data, options)
        said = capsys.readouterr().err
        assert ("sees every chain in the pose of its" in said) == warned, version


def test_a_run_directory_in_use_is_protected(tmp_path: Path) -> None:
    recipe = load_recipe("v13", "nano")
    Run.create(tmp_path / "run", recipe, {})
    with pytest.raises(ProtectedError, match="exists and is not empty"):
        Run.create(tmp_path / "run", recipe, {})


def test_trainings_that_start_together_have_a_directory_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None sees that of another before it makes its own: whoever comes second takes the next."""
    recipe, together = load_recipe("v13", "nano"), Barrier(4)
    look = run_module._is_taken

    def look_together(directory: Path) -> bool:
        found = look(directory)
        with suppress(BrokenBarrierError):
            together.wait(0.5)
        return found

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Stopped:
            return cls(2026, 1, 1)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_module, "datetime", Stopped)
    monkeypatch.setattr(run_module, "_is_taken", look_together)
    with ThreadPoolExecutor(4) as several:
        made = list(several.map(lambda seed: Run.create(None, recipe, {"seed": seed}), range(4)))
    stem = "v13-nano-20260101-000000"
    numbered = {stem, *(f"{stem}-{number}" for number in (2, 3, 4))}
    assert {run.directory.name for run in made} == numbered
    for seed, run in enumerate(made):
        assert json.loads((run.directory / "environment.json").read_text())["seed"] == seed
    together.reset()
    with ThreadPoolExecutor(4) as several:  # with a name of their own, or an empty directory
        (tmp_path / "mine").mkdir()
        outcomes = list(several.map(lambda _: refused(tmp_path / "mine", recipe), range(4)))
    assert sorted(outcomes) == [False, True, True, True]


def refused(directory: Path, recipe: Recipe) -> bool:
    try:
        Run.create(directory, recipe, {})
    except ProtectedError:
        return True
    return False


@pytest.mark.parametrize("unconditional", [0.0, 1.0])
def test_unconditional_proteins_show_no_sequence(unconditional: float) -> None:
    made = trainer(training__unconditional=unconditional)
    seen = []
    made.model.encoder.register_forward_pre_hook(
        lambda module, args, ports: seen.append(ports["tokens"]), with_kwargs=True
    )
    made.stepper.take([batch_of(made, [0, 4])], 2, 1, 1e-3)
    residues = seen[0][seen[0] != 0]
    assert bool((residues == 1).all()) == (unconditional == 1.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_self_conditioning_feeds_the_first_prediction_back(share: float) -> None:
    made = trainer(training__self_conditioning=share)
    fed = []
    made.model.denoiser.register_forward_pre_hook(
        lambda module, args, ports: fed.append(ports["coords_prev"]), with_kwargs=True
    )
    made.stepper.take([batch_of(made, [0, 4])], 2, 1, 1e-3)
    assert [f is not None for f in fed] == ([False, True] if share else [False])
