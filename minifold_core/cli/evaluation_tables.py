"""What ``minifold evaluate`` prints: tables that show the truth beside every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from rich.table import Table

from minifold_core.cli.output import table
from minifold_core.evaluation.backbones import BackboneRow
from minifold_core.evaluation.calibration import Calibration
from minifold_core.evaluation.judge import Judgement
from minifold_core.evaluation.noise_levels import NoiseLevels
from minifold_core.evaluation.report import Report
from minifold_core.evaluation.scores import FLOOR, MODEL, SCORES
from minifold_core.evaluation.sweep import Swept

SHOWN = ("tm", "rmsd", "gdt_ts", "lddt", "precision_L_24")
"""The scores that fit a terminal; the files hold all of them."""
SHOWN_OF_SWEEP = ("tm", "lddt")
SHOWN_BY_CLASS = ("tm", "lddt", "helix_recall", "strand_recall")
INTERVAL = "(95 % interval)"
OUTCOMES = {1: "better", -1: "worse", 0: "unclear"}


def means_table(judgement: Judgement) -> Table:
    """A row for each predictor: its mean scores; under the model, how its samples differ."""
    rows = judgement.report.rows
    headings = [SCORES[metric].heading for metric in SHOWN]
    columns = (f"mean of {_chains(rows[0].n)}", *headings)
    made = table(*columns, numbers=tuple(headings), caption=_direction(SHOWN))
    for row in rows:
        made.add_row(row.name, *_cells(row.means, SHOWN))
        if row.name == MODEL and judgement.spread:
            made.add_row("  ± between its samples", *_cells(judgement.spread, SHOWN))
    return made


def differences_table(report: Report) -> Table:
    """For each score, the model minus the best floor, and minus itself on shuffled sequences."""
    columns = ("model minus", "", "chains", f"difference\n{INTERVAL}", "model is")
    made = table(*columns, numbers=("chains",), caption=_direction(SHOWN))
    for metric in SHOWN:
        heading = SCORES[metric].heading
        for comparison in report.against_best(metric):
            difference = comparison.difference
            text = difference.text(SCORES[metric].digits)
            outcome = OUTCOMES[comparison.outcome]
            made.add_row(heading, comparison.against, str(difference.n), text, outcome)
            heading = ""
    return made


def classes_table(judgement: Judgement) -> Table:
    """The model beside the best floor, by class of fold."""
    floor = judgement.report.best["tm"]
    columns = [f"model {SCORES[metric].heading}" for metric in SHOWN_BY_CLASS]
    numbers = ("chains", "floor TM-score", *columns)
    caption = (
        f"classes by the native trace: α from 15 % helix, β from 10 % strand on; floor: {floor}"
    )
    made = table("class", *numbers, numbers=numbers, caption=caption)
    for row in judgement.classes:
        scores = _cells(row.model, SHOWN_BY_CLASS)
        made.add_row(row.name, str(row.n), *_cells(row.floor, ("tm",)), *scores)
    return made


def backbone_table(rows: Sequence[BackboneRow]) -> Table:
    """Scores of backbones, model beside native."""
    columns = ("backbone", "model", "native", f"model minus native {INTERVAL}")
    made = table(*columns, numbers=("model", "native"), caption="native values are the best")
    for row in rows:
        score = SCORES[row.metric]
        means = (_number(mean, score.digits) for mean in (row.model, row.native))
        made.add_row(score.heading, *means, row.difference.text(score.digits))
    return made


def agreement_table(found: Calibration) -> Table:
    """Predicted beside true lDDT over residues and over chains."""
    numbers = ("n", "pLDDT", "lDDT", "Pearson", "Spearman", "error", "floor")
    caption = "error: mean of |pLDDT - lDDT|; floor: the same of the mean lDDT for all"
    made = table("confidence of", *numbers, numbers=numbers, caption=caption)
    for name, each in (("residues", found.residues), ("chains", found.chains)):
        means, errors = (each.plddt, each.lddt), (each.error, each.floor_error)
        values = (*means, each.pearson, each.spearman, *errors)
        made.add_row(name, str(each.n), *(_number(value, 3) for value in values))
    return made


def bins_table(found: Calibration) -> Table:
    """Mean lDDT of residues by the pLDDT that they have."""
    columns = ("pLDDT from", "residues", "mean pLDDT", "mean lDDT")
    made = table(*columns, numbers=columns[1:])
    for each in found.bins:
        if each.n:
            means = (_number(mean, 3) for mean in (each.plddt, each.lddt))
            made.add_row(f"{each.low:.1f} to {each.high:.1f}", str(each.n), *means)
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
    shuffled = ("shuffled",) if gaps else ()
    columns = ("TM-score at t", "σ (Å)", "noised state", "predicted", *shuffled)
    gap = f"predicted minus shuffled\n{INTERVAL}"
    made = table(*columns, *([gap] if gaps else []), numbers=columns)
    for k, t in enumerate(levels.times):
        scores = [
            each[k] for each in (levels.state, levels.own, levels.shuffled) if each is not None
        ]
        cells = [f"{float(tm.mean()):.3f}" for tm in scores]
        made.add_row(str(t), f"{levels.sigmas[k]:.3g}", *cells, *([gaps[k].text()] if gaps else []))
    return made


def terms_tables(levels: NoiseLevels) -> list[Table]:
    """Validation terms in bins of noise levels; apart from them those that see no noise."""
    names = list(next(iter(levels.terms.values())))
    made = table("validation loss", *names, numbers=tuple(names))
    columns = ("predicted", "shuffled")[: 2 if levels.shuffled_terms else 1]
    steady = table("the same at all noise levels", *columns, numbers=columns)
    for term, own in levels.terms.items():
        each = [own, *([levels.shuffled_terms[term]] if levels.shuffled_terms else [])]
        if term in levels.steady_terms:
            steady.add_row(term, *(f"{bins[names[0]]:.4f}" for bins in each))
            continue
        for label, bins in zip((term, "  shuffled"), each, strict=False):
            made.add_row(label, *(f"{bins[name]:.4f}" for name in names))
    return [made, steady] if steady.row_count else [made]


def _cells(means: Mapping[str, float], metrics: Sequence[str]) -> list[str]:
    return [_number(means[metric], SCORES[metric].digits) for metric in metrics]


def _direction(metrics: Sequence[str]) -> str:
    lower = [SCORES[metric].label for metric in metrics if SCORES[metric].better == "lower"]
    return f"lower is better in {', '.join(lower)}, higher in all others"


def _number(mean: float, digits: int) -> str:
    """A dash for a mean over no chain."""
    return "–" if isnan(mean) else f"{mean:.{digits}f}"


def _chains(count: int) -> str:
    return f"{count} chain{'' if count == 1 else 's'}"
