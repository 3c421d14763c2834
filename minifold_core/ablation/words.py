"""What an ablation allows to say, in sentences that follow from intervals alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minifold_core.ablation.judged import Arm
from minifold_core.comparison.training_claim import FEWEST_SEEDS
from minifold_core.evaluation.paired import FEW_CHAINS, FEWEST_CHAINS

OUTCOMES = {1: "clears it", 0: "cannot be told from it", -1: "is below it"}


def sentences(arms: Sequence[Arm], chains: int) -> list[str]:
    """The floors first, then the recipes beside the first one, then what intervals cover.

    Args:
        arms: the recipes, in the order in which the user named them.
        chains: how many they were judged on.
    """
    if chains < FEWEST_CHAINS:
        return [
            f"Judged on {chains} chains: fewer than {FEWEST_CHAINS} allow no interval, and nothing "
            "can be said."
        ]
    return [_floors(arms), _sequence(arms), *_beside_first(arms), _scope(arms, chains)]


def _floors(arms: Sequence[Arm]) -> str:
    verdicts = [arm.judgement.report.verdict for arm in arms]
    cleared = [
        arm.label
        for arm, verdict in zip(arms, verdicts, strict=True)
        if verdict.difference.sign > 0
    ]
    which = f"{', '.join(cleared)} of {len(arms)}" if cleared else f"None of {len(arms)} recipes"
    each = (
        f"{arm.label} {OUTCOMES[verdict.difference.sign]} by {verdict.difference.text()}"
        if verdict.difference.sign
        else f"{arm.label} {OUTCOMES[0]}, {verdict.difference.text()}"
        for arm, verdict in zip(arms, verdicts, strict=True)
    )
    text = f"Clearing the best floor, {verdicts[0].floor}, in TM-score: {which}. {'; '.join(each)}."
    if cleared:
        return text
    return f"{text} A difference between recipes at the floor is no progress."


def _sequence(arms: Sequence[Arm]) -> str:
    gains = {arm.label: arm.judgement.report.verdict.shuffled for arm in arms}
    reading = [label for label, gain in gains.items() if gain and gain.sign > 0]
    blind = [label for label, gain in gains.items() if gain is None]
    text = f"Better with its own sequence than with a shuffled one: {', '.join(reading) or 'none'}."
    return text + (f" Reading no sequence: {', '.join(blind)}." if blind else "")


def _beside_first(arms: Sequence[Arm]) -> Iterator[str]:
    """Each other recipe, by the interval over seeds where there is one."""
    for arm in arms[1:]:
        row = arm.headline
        if row is None:
            continue
        size = f"TM-score {row.decides.text()}, 95 % over {row.over}"
        if row.gain:
            yield f"{arm.label} is {row.says} than {arms[0].label}: {size}."
        else:
            yield f"No difference shown between {arms[0].label} and {arm.label}: {size}."


def _scope(arms: Sequence[Arm], chains: int) -> str:
    text = (
        f"An interval over chains covers which of such chains were judged ({chains}), for these "
        "trainings and samples."
    )
    if chains < FEW_CHAINS:
        text += f" Over fewer than {FEW_CHAINS} chains it covers less than 95 %."
    fewest = min(len(arm.trained) for arm in arms)
    if fewest >= FEWEST_SEEDS:
        return (
            f"{text} An interval over seeds (Welch's t) covers which seeds were trained, on these "
            "chains: it speaks of the recipe."
        )
    if fewest == 1:
        return (
            f"{text} One seed says nothing about training: with another one the order of the "
            f"recipes may turn. Ask for --seeds {FEWEST_SEEDS}; what is trained stays."
        )
    return (
        f"{text} {fewest} seeds are too few for an interval over trainings: what is said, is said "
        f"of these weights. Ask for --seeds {FEWEST_SEEDS}; what is trained stays."
    )
