"""Judge structures against natural chains of their lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.generation.describe import Described
from minifold_core.evaluation.generation.diversity import judge_diversity
from minifold_core.evaluation.generation.figures import Figure, divergence_figure, mean_figure
from minifold_core.evaluation.generation.matching import Draw, add_windows, make_draws
from minifold_core.evaluation.generation.novelty import Library, judge_novelty
from minifold_core.evaluation.generation.report import GenerationReport
from minifold_core.evaluation.generation.size import SizeLaw
from minifold_core.evaluation.generation.traces import Progress, Trace, natural_traces

MEANS = (
    "bonds",
    "clashes",
    "rg_z",
    "rg_abs_z",
    "contact_order",
    "helix",
    "strand",
    "coil",
    "left_handed",
)


def judge_generation(
    samples: Sequence[Trace],
    chains: Sequence[Chain],
    held_out: Sequence[Chain],
    progress: Progress,
    seed: int = 0,
) -> GenerationReport:
    """Every figure of samples beside that of natural chains.

    Args:
        samples: at least one structure.
        chains: natural chains. The nearest one to each sample is looked for among all of them;
            all else compares with those that have no gap, one of each entry and sequence.
        held_out: natural chains whose nearest ones stand beside those of the samples; without
            any, those of ``chains`` do. A chain's own entry is never its nearest.
        progress: shows the progress of long work.
        seed: of draws and windows.

    Raises:
        RequestError: there is no natural chain without a gap.
    """
    rng = np.random.default_rng(seed)
    pool = natural_traces(chains)
    if not pool:
        raise RequestError("the data has no natural chain without missing residues")
    windows = add_windows([len(trace) for trace in samples], pool, rng)
    with progress("measuring", len(samples) + len(pool) + len(windows)) as advance:
        ours = Described.of(samples, advance)
        natural = Described.of([*pool, *windows], advance)
    law = SizeLaw.fit(natural.lengths[: len(pool)], natural.values["rg"][: len(pool)])
    if law is not None:
        ours, natural = _with_residuals(ours, law), _with_residuals(natural, law)
    draws = make_draws(ours.lengths, natural.traces, rng)
    diversity = judge_diversity(ours.traces, natural.traces, draws, rng, progress)
    library = Library([Trace.of(chain, chain.entry) for chain in chains])
    held = natural_traces(held_out)
    novelty = judge_novelty(ours.traces, library, held or pool, rng, progress)
    return GenerationReport(
        figures=(*_shape_figures(ours, natural, draws), *diversity.figures, novelty.figure),
        samples=ours,
        natural=natural,
        windows=len(windows),
        partnered=frozenset(row for draw in draws for row in draw.samples.tolist()),
        law=law,
        nearest=novelty.nearest,
        clusters=dict(zip(diversity.rows.tolist(), diversity.clusters.tolist(), strict=True)),
        held_out=bool(held),
    )


def _with_residuals(described: Described, law: SizeLaw) -> Described:
    z = law.residuals(described.lengths, described.values["rg"])
    return replace(described, values=described.values | {"rg_z": z, "rg_abs_z": np.abs(z)})


def _shape_figures(ours: Described, natural: Described, draws: Sequence[Draw]) -> list[Figure]:
    histograms = {"pseudo_jsd": (ours.pseudo, natural.pseudo)}
    if ours.backbones == len(ours) and natural.backbones:  # mixed sets would compare sizes
        histograms["ramachandran_jsd"] = (ours.ramachandran, natural.ramachandran)
    histograms["content_jsd"] = (ours.content, natural.content)
    divergences = (divergence_figure(name, *both, draws) for name, both in histograms.items())
    means = (
        mean_figure(name, ours.values[name], natural.values[name], draws)
        for name in MEANS
        if name in ours.values
    )
    return [*divergences, *means]
