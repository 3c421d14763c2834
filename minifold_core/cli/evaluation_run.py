"""The parts of ``minifold evaluate``: sampling, what is made of the samples, and where it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from minifold_core.cli.evaluation_out import RESULT, UNFINISHED
from minifold_core.cli.evaluation_tables import (
    agreement_table,
    backbone_table,
    bins_table,
    classes_table,
    differences_table,
    levels_table,
    means_table,
    sweep_table,
    terms_tables,
)
from minifold_core.cli.output import emit_json, say, show
from minifold_core.cli.platform import trimming
from minifold_core.cli.sample import save_fold
from minifold_core.console import note, progress
from minifold_core.data.records import Chain
from minifold_core.evaluation.backbones import judge_backbones
from minifold_core.evaluation.calibration import calibrate
from minifold_core.evaluation.exact import ExactSamples
from minifold_core.evaluation.judge import Bench
from minifold_core.evaluation.noise_levels import NOTE, batches_of, noise_levels
from minifold_core.evaluation.sampling import Samples, sample_chains
from minifold_core.evaluation.scores import MODEL
from minifold_core.evaluation.shuffled import SHUFFLED, reads_sequence, shuffled
from minifold_core.evaluation.sweep import Setting, Swept
from minifold_core.folding import Fold, Target, steps_of
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.results import write_csv, write_json
from minifold_core.sample_files import SampleTable, listed_files, structure_paths

if TYPE_CHECKING:
    from rich.table import Table

CHOICE = (
    "The best of several settings was found on these chains, which flatters it: confirm it on "
    "another split."
)


@dataclass
class Results:
    """What is found, written as soon as it is and told at the end.

    Attributes:
        found: for ``--json`` and ``evaluation.json``; its ``notes`` are told under the verdict.
        out: the directory for files, if there is to be one.
        tables: for people.
        words: sentences under the tables, the verdict first.
    """

    found: dict[str, Any]
    out: Path | None
    tables: list[Table] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def add(self, found: Mapping[str, Any], tables: Iterable[Table], *words: str) -> None:
        """Take up one part, and write ``evaluation.json`` with all that there is."""
        self.found |= found
        self.tables += tables
        self.words += words
        if self.out is not None:
            write_json(self.out / RESULT, self.found)

    def rows(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write a table of that name as CSV; what is not defined is left empty."""
        if self.out is not None:
            write_csv(self.out / name, rows)

    def tell(self, as_json: bool) -> None:
        """Print everything."""
        if self.out is not None:
            note(f"results: {self.out}")
        if as_json:
            emit_json(self.found)
            return
        for each in self.tables:
            show(each)
        say(*self.words[:1], *self.found["notes"], *self.words[1:])


@dataclass(frozen=True)
class Sampler:
    """Samples chains, and saves every structure before anything else is done with it.

    Attributes:
        model: with a denoiser.
        count: samples per chain.
        seed: of the noise.
        device: where to compute.
        at_once: samples in a batch at most.
        weights: SHA-256 of the weights file, for ``samples.csv``.
        embeddings: SHA-256 of the file of embeddings; empty if none are read.
        out: the directory of the evaluation; None writes nothing.
    """

    model: FoldModel
    count: int
    seed: int
    device: torch.device
    at_once: int | None
    weights: str
    embeddings: str
    out: Path | None = None

    def sample(
        self, chains: Sequence[Chain], settings: SamplingConfig, what: str, folder: str = ""
    ) -> Samples:
        """Sample every chain, or those that were not before the evaluation was stopped.

        Args:
            chains: the native chains.
            settings: of the sampler.
            what: a word for it, beside the progress.
            folder: of the structures, in ``out``.
        """
        if self.out is None:
            return self._draw(chains, settings, what, {}, lambda done: None)
        targets = [Target.of(chain) for chain in chains]
        out, exact = self.out / folder, ExactSamples(self.out / UNFINISHED / folder)
        paths = structure_paths(out, targets, self.count, "pdb", trajectory=False)
        name = self.model.recipe.id
        table = SampleTable(out, name, self.seed, settings, self.weights, self.embeddings)
        table.start()
        listed = set(listed_files(out) or ())

        def write(done: Fold) -> None:
            path = paths[done.target.name, done.copy]
            if path not in listed:
                save_fold(done, path, table.origin(done))
                table.add(done, path)

        def keep(done: Fold) -> None:
            exact.keep(done)
            write(done)

        kept = exact.kept(targets, self.count)
        if kept:
            note(f"{what}: going on, {len(kept)} of {len(paths)} samples are there already")
        for done in kept.values():
            write(done)  # the stop may have come before its structure or its row
        samples = self._draw(chains, settings, what, kept, keep)
        table.arrange(paths.values())
        return samples

    def _draw(
        self,
        chains: Sequence[Chain],
        settings: SamplingConfig,
        what: str,
        kept: Mapping[tuple[str, int], Fold],
        on_fold: Callable[[Fold], None],
    ) -> Samples:
        targets = [Target.of(chain) for chain in chains]
        with progress(what, steps_of(targets, settings, self.count, self.at_once, kept)) as advance:
            return sample_chains(
                self.model,
                chains,
                settings,
                count=self.count,
                seed=self.seed,
                device=self.device,
                at_once=self.at_once,
                kept=kept,
                on_step=trimming(advance),
                on_fold=on_fold,
            )


def judge_samples(
    sampler: Sampler, bench: Bench, settings: SamplingConfig, with_shuffled: bool, results: Results
) -> None:
    """Sample the chains, and again with shuffled sequences, and put both beside the floors."""
    out = results.out
    own = sampler.sample(bench.chains, settings, "sampling")
    others: Samples | None = None
    if with_shuffled and settings.guidance != 0 and reads_sequence(sampler.model):
        mixed = [shuffled(chain, sampler.seed) for chain in bench.chains]
        others = sampler.sample(mixed, settings, f"sampling, {SHUFFLED}", "shuffled")
    with progress("scoring", sampler.count * (1 if others is None else 2)) as advance:
        judgement = bench.judge(own.traces, None if others is None else others.traces, advance)
    report = judgement.report
    results.rows("scores.csv", judgement.to_rows())
    tables = [means_table(judgement), differences_table(report), classes_table(judgement)]
    found = {"seconds_per_sample": own.seconds} | judgement.to_dict()
    results.add(found, tables, str(report.verdict))
    if out is not None:
        from minifold_core.plots.structures import save_pictures

        save_pictures(out, bench.chains, own.traces, f"samples of {results.found['weights']}")
    if own.backbones:
        rows = judge_backbones(bench, own.backbones)
        results.add({"backbone": [row.to_dict() for row in rows]}, [backbone_table(rows)])
    if own.plddt:
        judge_confidence(bench, own, results)


def judge_confidence(bench: Bench, samples: Samples, results: Results) -> None:
    """Put the lDDT that the model expects of its samples beside the one that they have."""
    found = calibrate(bench.chains, samples, bench.seed)
    results.rows("confidence.csv", found.to_rows())
    tables = [agreement_table(found), bins_table(found)]
    results.add({"confidence": found.to_dict()}, tables, found.words)
    if results.out is not None:
        from minifold_core.plots.calibration import draw_calibration
        from minifold_core.plots.style import save

        about = f"{results.found['weights']}: predicted beside true lDDT"
        save(draw_calibration(found), results.out / "confidence.png", about)


def judge_settings(
    sampler: Sampler, bench: Bench, settings: Sequence[Setting], results: Results
) -> None:
    """Sample the chains with each setting; files are written anew after every one."""
    swept: list[Swept] = []
    out = results.out
    for number, setting in enumerate(settings, start=1):
        what = f"{setting.name} ({number}/{len(settings)})"
        samples = sampler.sample(bench.chains, setting.config, what, setting.stem)
        swept.append(Swept(setting, bench.judge(samples.traces), samples.seconds))
        results.rows("sweep.csv", [each.to_row() for each in swept])
        results.rows("scores.csv", [row for each in swept for row in _chain_rows(each, swept[0])])
    best = max(swept, key=lambda each: each.judgement.report.rows[0].means["tm"])
    found = {
        "sweep": [each.to_row() for each in swept],
        "rows": best.judgement.to_dict()["rows"][1:],
        "verdict": {"setting": best.setting.name, "caution": CHOICE}
        | best.judgement.report.verdict.to_dict(),
    }
    words = f"Highest TM-score with {best.setting.name}. {best.judgement.report.verdict}"
    results.add(found, [sweep_table(swept)], words, *([CHOICE] if len(swept) > 1 else []))
    if out is not None:
        from minifold_core.plots.style import save
        from minifold_core.plots.sweep import draw_sweep

        save(draw_sweep(swept), out / "sweep.png", f"{results.found['weights']}: sampler settings")


def judge_levels(sampler: Sampler, bench: Bench, with_shuffled: bool, results: Results) -> None:
    """Judge the model by noise level."""
    model = sampler.model.to(sampler.device)
    with progress("noise levels", batches_of(model, bench.chains, with_shuffled)) as advance:
        levels = noise_levels(model, bench.chains, sampler.seed, with_shuffled, trimming(advance))
    results.add(
        {"noise_levels": levels.to_dict()}, [levels_table(levels), *terms_tables(levels)], NOTE
    )
    if results.out is not None:
        from minifold_core.plots.noise_levels import draw_levels
        from minifold_core.plots.style import save

        floors = {name: float(scores["tm"].mean()) for name, scores in bench.floors.items()}
        about = f"{results.found['weights']}: TM-score of single steps by noise level"
        save(draw_levels(levels, floors), results.out / "noise-levels.png", about)


def _chain_rows(each: Swept, first: Swept) -> list[dict[str, Any]]:
    """The model's rows under the setting's name; the floors', which never change, once."""
    rows = each.judgement.to_rows()
    own = [row | {"predictor": each.setting.name} for row in rows if row["predictor"] == MODEL]
    return own + [row for row in rows if row["predictor"] != MODEL and each is first]
