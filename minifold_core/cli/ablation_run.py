"""The parts of ``minifold ablate``: training the runs, sampling them, and writing what is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch

from minifold_core.ablation.judged import Arm, floor_rows, judge_recipe, recipe_row
from minifold_core.ablation.question import Question, write_question
from minifold_core.ablation.samples import Sampled, Traces, keep_samples, kept_samples
from minifold_core.ablation.table import markdown
from minifold_core.ablation.trainings import (
    Standing,
    Training,
    clear_unbegun,
    standing,
    trainings,
)
from minifold_core.ablation.words import sentences
from minifold_core.assembly import embedding_ports
from minifold_core.cli.embeddings import fitting_embeddings
from minifold_core.cli.evaluation_run import Sampler
from minifold_core.cli.resume import resume
from minifold_core.cli.sample import sampling_settings
from minifold_core.cli.train import train
from minifold_core.comparison.notes import notes_on_weights
from minifold_core.comparison.quantities import Trained
from minifold_core.console import note, progress
from minifold_core.data.dataset import PackedDataset
from minifold_core.data.records import Chain
from minifold_core.errors import MinifoldError, ProtectedError
from minifold_core.evaluation.judge import SCORED, Bench
from minifold_core.evaluation.scores import FLOOR, MODEL
from minifold_core.evaluation.shuffled import SHUFFLED, reads_sequence, shuffled
from minifold_core.files import atomic
from minifold_core.results import write_csv, write_json
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.header import read_header
from minifold_core.weights.io import load_model

SCHEMA = 1
Failed = dict[Path, str]
"""The runs that came to no end, and why."""


@dataclass(frozen=True)
class Judging:
    """How the trained runs are judged.

    Attributes:
        source: the native chains.
        library: where the floors learn what proteins look like.
        split: which chains of the data they are.
        embeddings: of models that read them.
        count: samples of each chain and training.
        steps: of sampling; None: the recipe's.
        seed: of noise, floors and bootstrap.
        device: where to compute.
        at_once: samples in a batch at most.
    """

    source: PackedDataset
    library: PackedDataset
    split: str
    embeddings: Path | None
    count: int
    steps: int | None
    seed: int
    device: torch.device
    at_once: int | None

    @classmethod
    def of(cls, dataset: PackedDataset, split: str, most: int | None, *rest: Any) -> Judging:
        """Choose the chains: all of the split, or ``most`` of them by a hash of their names.

        Fewer chains are always among more, whatever their order in the data.
        """
        every = dataset.subset(split)
        ranked = np.argsort([crc32(name.encode()) for name in every.names], kind="stable")
        rows = every.rows[np.sort(ranked[:most])]
        return cls(PackedDataset(every.file, rows), dataset.library_for(split), split, *rest)

    @cached_property
    def chains(self) -> tuple[Chain, ...]:
        """The native chains, without embeddings."""
        return tuple(self.source)


def announce(
    planned: Sequence[tuple[Training, Standing]], question: Question, judging: Judging
) -> None:
    """Say in two lines what there is to do."""
    left = sum(max(0.0, 1 - now.used(question.budget)) for _, now in planned if not now.finished)
    done = sum(now.finished for _, now in planned)
    note(
        f"{len(question.entries)} recipes, seeds: {question.seeds}, {question.budget} each: "
        f"{len(planned)} trainings one after the other, {done} of them finished; left: "
        f"{question.budget.times(left)}"
    )
    note(
        f"then {len(judging.chains)} {judging.split} chains are sampled with own and with shuffled "
        f"sequences, by each training {judging.count} times; starting, validation and sampling "
        "come on top of the budget"
    )


def train_all(
    out: Path,
    question: Question,
    before: dict[str, str],
    data: str,
    embeddings: Path | None,
    device: str,
) -> Failed:
    """Train what is not finished; a training that fails is left out, and the others go on.

    Raises:
        ProtectedError: something there is in danger.
        SystemExit: a signal asked to stop; the state is saved.
    """
    write_question(out, question, before)
    failed: Failed = {}
    every = list(trainings(question, out))
    for number, training in enumerate(every, start=1):
        now = standing(training, question.budget)
        directory, recipe = training.run.directory, training.entry.recipe
        note(f"training {number}/{len(every)}: {training.name}, {now}")
        if now.finished:
            continue
        own = embeddings if embedding_ports(recipe) else None
        try:
            if now.begun:
                resume(directory, data=data, embeddings=own)
                continue
            clear_unbegun(directory)
            train(
                training.entry.argument,
                data=data,
                embeddings=own,
                size=question.size,
                run_dir=directory,
                max_steps=question.budget.steps,
                max_seconds=question.budget.seconds,
                device=device,
                seed=training.seed,
            )
        except ProtectedError:
            raise
        except MinifoldError as error:
            note(f"warning: {training.name} is left out: {error}")
            failed[directory] = str(error)
    return failed


def judge_all(out: Path, question: Question, judging: Judging, failed: Failed) -> dict[str, Any]:
    """Sample and judge every trained run, and write what is found.

    Returns:
        What ``--json`` prints.

    Raises:
        MinifoldError: no training of the first recipe came to its end.
    """
    sampled: dict[str, list[tuple[Training, Sampled]]] = {}
    runs = [each for each in trainings(question, out) if each.run.directory not in failed]
    for training in runs:
        try:
            found = sample_training(training, judging)
        except ProtectedError:
            raise
        except MinifoldError as error:
            note(f"warning: {training.name} is left out: {error}")
            failed[training.run.directory] = str(error)
            continue
        sampled.setdefault(training.entry.label, []).append((training, found))
    first = question.entries[0]
    if first.label not in sampled:
        raise MinifoldError(
            f"no training of {first.label} can be judged, which differences are taken from: "
            f"{'; '.join(dict.fromkeys(failed.values()))}"
        )
    with progress("scoring the floors", SCORED) as advance:
        bench = Bench.of(judging.chains, judging.library, judging.seed, advance)
    arms: list[Arm] = []
    for entry in question.entries:
        own = sampled.get(entry.label, [])
        if not own:
            continue
        seconds = [standing(each, question.budget).seconds for each, _ in own]
        several = [found for _, found in own]
        samples = judging.count * len(own) * (1 + bool(several[0].shuffled))
        with progress(f"scoring {entry.label}", samples) as advance:
            reference = arms[0] if arms else None
            arms.append(judge_recipe(entry, several, seconds, bench, reference, advance))
    return write_all(out, question, judging, bench, arms, failed)


def sample_training(training: Training, judging: Judging) -> Sampled:
    """The samples of one run, from its file if they are there already.

    Raises:
        MinifoldError: a sample is not finite, or memory does not suffice.
    """
    weights = training.run.last
    trained = Trained.of(training.name, weights, read_header(weights), training.seed)
    recipe = training.entry.recipe
    settings = sampling_settings(recipe, judging.steps, None, None)
    asked = {
        "weights": trained.sha256,
        "chains": [chain.name for chain in judging.chains],
        "sampling": settings.model_dump(),
        "count": judging.count,
        "seed": judging.seed,
    }
    kept = kept_samples(training.samples, trained, asked)
    if kept is not None:
        return kept
    model, _ = load_model(weights)
    reads = bool(embedding_ports(model.recipe))
    embedded = fitting_embeddings(model.recipe, judging.embeddings if reads else None)
    native = list(judging.source.with_embeddings(embedded))
    digest = file_sha256(embedded.path) if embedded else ""
    how = (judging.count, judging.seed, judging.device, judging.at_once)
    sampler = Sampler(model, *how, trained.sha256, digest)
    own = sampler.sample(native, settings, f"sampling {training.name}").traces
    others: Traces = {}
    if settings.guidance != 0 and reads_sequence(model):
        mixed = [shuffled(chain, judging.seed) for chain in native]
        what = f"sampling {training.name}, {SHUFFLED}"
        others = sampler.sample(mixed, settings, what).traces
    parameters = sum(total for total, _ in model.parameter_counts().values())
    sampled = Sampled(trained, parameters, own, others)
    keep_samples(training.samples, sampled, asked)
    return sampled


def write_all(
    out: Path,
    question: Question,
    judging: Judging,
    bench: Bench,
    arms: Sequence[Arm],
    failed: Failed,
) -> dict[str, Any]:
    """Write the table as Markdown and CSV, everything as JSON, every score, and the picture."""
    rows = floor_rows(bench) + [recipe_row(arm, bench.seed) for arm in arms]
    on = (judging.chains, judging.split, question.data_digest)
    said = [
        *sentences(arms, len(judging.chains)),
        *notes_on_weights({arm.label: arm.trained for arm in arms}, *on),
        *_remarks(out, question, failed),
    ]
    found = {
        "schema": SCHEMA,
        "question": question.to_dict(),
        "judged": {
            "split": judging.split,
            "chains": [chain.name for chain in judging.chains],
            "samples_per_chain": judging.count,
            "steps": judging.steps,
            "seed": judging.seed,
        },
        "rows": rows,
        "recipes": [_recipe(arm) for arm in arms],
        "failed": {str(run): why for run, why in failed.items()},
        "sentences": said,
    }
    write_json(out / "ablation.json", found)
    write_csv(out / "ablation.csv", rows)
    write_csv(out / "scores.csv", _scores(arms, bench))
    with atomic(out / "ablation.md") as path:
        path.write_text(
            markdown(rows, _about(question, judging), said, "ablation.png"), encoding="utf-8"
        )
    _draw(out / "ablation.png", arms, rows)
    return found


def _recipe(arm: Arm) -> dict[str, Any]:
    """A recipe's trainings and all of its differences, for ``--json``."""
    return {
        "name": arm.label,
        "trainings": [
            each.to_dict() | {"seconds": seconds, "tm": tm}
            for each, seconds, tm in zip(arm.trained, arm.seconds, arm.by_seed("tm"), strict=True)
        ],
        "against_floors_and_shuffled": [
            each.to_dict() for each in arm.judgement.report.comparisons
        ],
        "minus_first": [row.to_dict() for row in arm.versus_first],
    }


def _remarks(out: Path, question: Question, failed: Failed) -> Iterator[str]:
    """What is not as it was asked for."""
    for run, why in failed.items():
        yield f"Left out: {run}: {why}"
    early = [
        training.name
        for training in trainings(question, out)
        if training.run.directory not in failed
        and standing(training, question.budget).used(question.budget) < 1
    ]
    if early:
        yield (
            f"Ended before the budget, with the last epoch of the recipe or by its patience: "
            f"{'; '.join(early)}. A recipe file with more training.epochs uses all of it."
        )


def _about(question: Question, judging: Judging) -> str:
    """What was asked, in a sentence."""
    return (
        f"Size {question.size}, {question.budget} of training each, seeds: {question.seeds}, on "
        f"{question.device}; data {question.data} (SHA-256 {question.data_digest[:12]}); judged on "
        f"{len(judging.chains)} {judging.split} chains, samples of each: {judging.count}."
    )


def _scores(arms: Sequence[Arm], bench: Bench) -> list[dict[str, Any]]:
    """Every score of every sample, for whoever wants another statistic."""
    rows = []
    for arm in arms:
        for predictor in (MODEL, SHUFFLED):
            own = arm.judgement.scores.get(predictor)
            if own is None:
                continue
            each = len(own["tm"][0]) // len(arm.trained)
            rows += [
                {"recipe": arm.label, "sequence": "own" if predictor == MODEL else "shuffled"}
                | {"seed": trained.seed, "chain": chain.name, "sample": sample + 1}
                | {name: float(v[row, m * each + sample]) for name, v in own.items()}
                for m, trained in enumerate(arm.trained)
                for row, chain in enumerate(bench.chains)
                for sample in range(each)
            ]
    for floor, scores in bench.floors.items():
        rows += [
            {"recipe": f"{FLOOR}{floor}", "sequence": "", "seed": "", "chain": chain.name}
            | {"sample": 1, **{name: float(v[row, 0]) for name, v in scores.items()}}
            for row, chain in enumerate(bench.chains)
        ]
    return rows


def _draw(path: Path, arms: Sequence[Arm], rows: Sequence[dict[str, Any]]) -> None:
    from minifold_core.plots.ablation import draw_ablation
    from minifold_core.plots.style import save

    own = {row["name"]: row for row in rows if row["kind"] == "recipe"}
    means = [own[arm.label] for arm in arms]
    figure = draw_ablation(
        [arm.label for arm in arms],
        [arm.by_seed("tm") for arm in arms],
        [(row["tm"], None if row["tm_low"] is None else (row["tm_low"], row["tm_high"]))
         for row in means],
        {row["name"]: row["tm"] for row in rows if row["kind"] == "floor"},
    )  # fmt: skip
    save(figure, path, "TM-score of every recipe beside the floors")
