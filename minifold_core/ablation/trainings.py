"""The trainings of an ablation, and how far each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minifold_core.ablation.budget import Budget
from minifold_core.ablation.question import Entry, Question
from minifold_core.errors import ProtectedError
from minifold_core.runs import ENVIRONMENT, RECIPE, STATE, read_run
from minifold_core.training.run import UNFINISHED, Run


@dataclass(frozen=True)
class Training:
    """One recipe at one seed, in a run directory of its own.

    Attributes:
        entry: the recipe.
        seed: of first weights, noise and order.
        run: what training writes.
    """

    entry: Entry
    seed: int
    run: Run

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.entry.label}, seed {self.seed}"

    @property
    def samples(self) -> Path:
        """Where what was sampled of it is kept."""
        return self.run.directory.parent / "samples" / f"seed-{self.seed}.safetensors"


@dataclass(frozen=True)
class Standing:
    """How far a training is.

    Attributes:
        begun: whether there is a state to go on from.
        finished: whether nothing is left of what was asked for.
        step: optimizer steps taken.
        seconds: that they took.
    """

    begun: bool
    finished: bool
    step: int
    seconds: float

    def used(self, budget: Budget) -> float:
        """The part of the budget that is used; a recipe may end before it is."""
        if budget.seconds is not None:
            return self.seconds / budget.seconds
        return self.step / (budget.steps or 1)

    def __str__(self) -> str:
        if not self.begun:
            return "to be trained"
        done = f"{self.step} steps, {self.seconds:.0f} s"
        return f"finished ({done})" if self.finished else f"begun ({done})"


def trainings(question: Question, directory: Path) -> Iterator[Training]:
    """All of them, in the order in which they are trained.

    Every recipe's first seed comes before any second one: a machine that grows slower or faster
    does so for all recipes, and an ablation that is stopped has something of each.
    """
    for seed in range(question.seeds):
        for entry in question.entries:
            yield Training(entry, seed, Run(directory / entry.label / f"seed-{seed}"))


def standing(training: Training, budget: Budget) -> Standing:
    """How far a training is.

    Raises:
        ProtectedError: it was trained with other limits than the budget, by hand.
    """
    directory = training.run.directory
    if not (directory / STATE).is_file():
        return Standing(False, False, 0, 0.0)
    record = read_run(directory)
    limits = record.options.get("max_steps"), record.options.get("max_seconds")
    if record.progress and limits != (budget.steps, budget.seconds):
        raise ProtectedError(
            f"{directory} was trained beyond the ablation, with other limits than {budget}; move "
            "it away, and it is trained anew"
        )
    done = record.progress
    return Standing(
        True, record.standing == "finished", done.get("step", 0), done.get("seconds", 0.0)
    )


def clear_unbegun(directory: Path) -> None:
    """Remove what a training left that was killed before its first state.

    Raises:
        ProtectedError: there is more, as of a training whose state was removed.
    """
    left = {file for name in (RECIPE, ENVIRONMENT, *UNFINISHED) for file in directory.glob(name)}
    if others := sorted(set(directory.glob("*")) - left):
        raise ProtectedError(
            f"{directory} has {others[0].name} and no {STATE} to go on from; move it away, and it "
            "is trained anew"
        )
    for file in left:
        file.unlink()
