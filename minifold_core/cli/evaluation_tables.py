"""What ``minifold evaluate`` prints: tables that show the truth beside every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from rich.table import Table

from minifold_core.cli.output import table
from minifold_core.evaluation.backbones import BackboneRow
from minifold_core.evaluation.judge import Judgement
from minifold_core.evaluation.noise_levels import NoiseLevels
from minifold_core.evaluation.report import FLOOR, MODEL, Report
from minifold_core.evaluation.scores import SCORES
from minifold_core.evaluation.sweep import Swept

SHOWN = ("tm", "rmsd", "gdt_ts", "lddt", "precision_L_24")
"""The scores that fit a terminal; the files hold all of them."""
SHOWN_OF_SWEEP = ("tm", "lddt")
INTERVAL = "difference (95 % interval)"


def means_table(judgement: Judgement) -> Table:
    """A row for each predictor: its mean scores; under the model, how its samples differ."""
    rows = judgement.report.rows
    headings = [SCORES[metric].heading for metric in SHOWN]
    made = table(f"mean of {_chains(rows[0].n)}", *headings, numbers=tuple(headings))
    for row in rows:
        made.add_row(row.name, *_cells(row.means, SHOWN))
        if row.name == MODEL and judgement.spread:
            made.add_row("  ± between its samples", *_cells(judgement.spread, SHOWN))
    return made


def differences_table(report: Report) -> Table:
    """For each score, the model minus the best floor, and minus itself on shuffled sequences."""
    made = table("model minus", "", "chains", INTERVAL, numbers=("chains",))
    for metric in SHOWN:
        heading = SCORES[metric].heading
        for comparison in report.against_best(metric):
            difference = comparison.difference
            text = difference.text(SCORES[metric].digits)
            made.add_row(heading, comparison.against, str(difference.n), text)
            heading = ""
    return made


def backbone_table(rows: Sequence[BackboneRow]) -> Table:
    """Scores of backbones, model beside native."""
    made = table("backbone", "model", "native", INTERVAL, numbers=("model", "native"))
    for row in rows:
        score = SCORES[row.metric]
        means = (_number(mean, score.digits) for mean in (row.model, row.native))
        made.add_row(score.heading, *means, row.difference.text(score.digits))
    return made


def sweep_table(swept: Sequence[Swept]) -> Table:
    """A row for each setting, and the floors below them."""
    headings = [SCORES[metric].heading for metric in SHOWN_OF_SWEEP]
    against = "TM over the best floor"
    fields = " · ".join(swept[0].setting.values)
    made = table(fields, *headings, against, "s each", numbers=(*headings, "s each"))
    for each in swept:
        report = each.judgement.report
        means = _cells(report.rows[0].means, SHOWN_OF_SWEEP)
        gain = report.verdict.difference.text()
        made.add_row(" · ".join(each.setting.texts), *means, gain, f"{each.seconds:.2f}")
    made.add_section()
    for row in swept[0].judgement.report.rows[1:]:
        name = row.name.removeprefix(FLOOR).removesuffix(" of the truth")
        made.add_row(name, *_cells(row.means, SHOWN_OF_SWEEP))
    return made


def levels_table(levels: NoiseLevels) -> Table:
    """TM-score of a single step by noise level, beside the noised state's own."""
    gaps = levels.differences
    columns = ("TM-score at t", "noised state", "predicted", "shuffled")[: 4 if gaps else 3]
    made = table(*columns, *([INTERVAL] if gaps else []), numbers=columns)
    for k, t in enumerate(levels.times):
        scores = [
            each[k] for each in (levels.state, levels.own, levels.shuffled) if each is not None
        ]
        cells = [f"{float(tm.mean()):.3f}" for tm in scores]
        made.add_row(str(t), *cells, *([gaps[k].text()] if gaps else []))
    return made


def terms_table(levels: NoiseLevels) -> Table:
    """Validation terms in bins of noise levels; indented, with shuffled sequences."""
    names = list(next(iter(levels.terms.values())))
    made = table("validation loss", *names, numbers=tuple(names))
    for term, own in levels.terms.items():
        made.add_row(term, *(f"{own[name]:.4f}" for name in names))
        if levels.shuffled_terms:
            other = levels.shuffled_terms[term]
            made.add_row("  shuffled", *(f"{other[name]:.4f}" for name in names))
    return made


def _cells(means: Mapping[str, float], metrics: Sequence[str]) -> list[str]:
    return [_number(means[metric], SCORES[metric].digits) for metric in metrics]


def _number(mean: float, digits: int) -> str:
    """A dash for a mean over no chain."""
    return "–" if isnan(mean) else f"{mean:.{digits}f}"


def _chains(count: int) -> str:
    return f"{count} chain{'' if count == 1 else 's'}"
