"""What is told of a run: where it stands, what it was made of and what it says otherwise."""

from __future__ import annotations

from typing import Any, NamedTuple

from minifold_core.errors import MinifoldError
from minifold_core.evaluation.scores import FLOOR, MODEL, SCORES
from minifold_core.recipe import recipe_from_tables
from minifold_core.recipe_diff import Change, changes, nearest_version
from minifold_core.runs import RECIPE, RunRecord
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.header import RANDOM, read_header
from minifold_core.weights.known import known_weights


class RunFacts(NamedTuple):
    """A run's story, as far as its files tell it.

    Attributes:
        version: the installed version that the run's recipe comes from.
        changed: what the run's recipe says otherwise.
        origin: where the first weights came from, a phrase for each source.
        problems: what is wrong in the run's files, a sentence each.
    """

    version: str | None
    changed: dict[str, Change]
    origin: list[str]
    problems: list[str]


def summary(run: RunRecord) -> dict[str, Any]:
    """A run in a listing, as JSON holds it."""
    best = run.best
    return {
        "run": str(run.directory),
        "version": run.meta.id,
        "size": run.meta.size,
        "state": run.standing,
        "epoch": run.epoch,
        "epochs": run.epochs,
        "step": run.step,
        "state_step": run.progress.get("step"),
        "best": {"epoch": best[0], "total": best[1]} if best else None,
        "last": run.last,
        "started": run.said("started"),
        "problems": list(run.problems),
    }


def facts_of(run: RunRecord) -> RunFacts:
    """Read what surrounds a run: its version, and the headers of its weights."""
    problems = list(run.problems)
    version, changed = _changes(run, problems)
    return RunFacts(version, changed, _origin(run, problems), problems)


def description(run: RunRecord, facts: RunFacts) -> dict[str, Any]:
    """Everything that is told of a run, as JSON holds it."""
    return summary(run) | {
        "lineage": list(run.meta.lineage),
        "environment": run.environment,
        "recipe_changes": {
            "version": facts.version,
            "values": {key: change._asdict() for key, change in facts.changed.items()},
        },
        "origin": facts.origin,
        "migration": run.migration or None,
        "epochs_table": run.rows,
        "weights": run.weights,
        "problems": facts.problems,
    }


def why_ended(run: RunRecord) -> str:
    """What ended a finished run before the epochs of its recipe; empty if nothing did."""
    limit = run.options.get("max_steps")
    if run.standing != "finished" or not run.epochs or run.epoch >= run.epochs:
        return ""
    if isinstance(limit, int) and run.step >= limit:
        return f"ended by --max-steps {limit}"
    seconds = run.options.get("max_seconds")
    if isinstance(seconds, int | float) and run.progress.get("seconds", 0.0) >= seconds:
        return f"ended by --max-seconds {seconds:g}"
    return f"ended by its patience: no better epoch in {run.section('training').get('patience')}"


def sampled_scores(run: RunRecord) -> tuple[int, dict[str, dict[str, float]]] | None:
    """The latest epoch with sampled structures, and who scored what: the model, then the floors.

    None if none were sampled.
    """
    sampled = run.series("sampled/tm")
    if not sampled:
        return None
    latest = max(sampled)
    (row,) = (row for row in run.rows if row["epoch"] == latest)
    scores: dict[str, dict[str, float]] = {}
    for name, value in row.items():
        group, _, score = name.rpartition("/")
        if score in SCORES and (group == "sampled" or group.startswith("floor/")):
            who = MODEL if group == "sampled" else FLOOR + group.removeprefix("floor/")
            scores.setdefault(who, {})[score] = value
    return latest, scores


def _changes(run: RunRecord, problems: list[str]) -> tuple[str | None, dict[str, Change]]:
    if not run.meta.id:
        return None, {}
    try:
        recipe = recipe_from_tables(run.tables, str(run.directory / RECIPE))
        version = nearest_version(recipe)
        return version, changes(recipe, version) if version else {}
    except MinifoldError as error:
        problems.append(f"its recipe cannot be compared: {error}")
        return None, {}


def _origin(run: RunRecord, problems: list[str]) -> list[str]:
    found, migrated = [], ""
    report = run.migration
    try:
        if report:
            share = 100 * report["given"] / max(report["total"], 1)
            found.append(f"{report['source']['label']} ({share:.1f} per cent of the parameters)")
            migrated = report["source"].get("sha256", "")
    except (KeyError, TypeError):
        problems.append("migration.json is damaged: it is no report of a migration")
    for name in run.weights[:1]:
        try:
            header = read_header(run.directory / name)
        except MinifoldError as error:
            problems.append(f"{name} is damaged: {error}")
            continue
        for digest in dict.fromkeys(header.parents.values()):
            if digest != migrated:  # which has been told
                slots = [slot for slot, parent in header.parents.items() if parent == digest]
                found.append(f"{', '.join(slots)} of {_weights_name(digest)}")
        if header.encoder == RANDOM:
            found.append("an encoder that was never trained")
    return found


def _weights_name(sha256: str) -> str:
    """The name of weights with that hash, if any are known by one, and how the hash begins."""
    for name, known in known_weights().items.items():
        own = known.entry.sha256
        if not own and known.present:  # shipped weights carry no hash of the whole file
            own = file_sha256(known.file)
        if own == sha256:
            return f"{name} ({known.origin}, SHA-256 {sha256[:12]})"
    return f"weights {sha256[:12]}"
