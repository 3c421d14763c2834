"""The published losses in plain float64 loops, one protein at a time, written from the formulas.

Every function takes arrays of one protein: ``x`` predicted and ``y`` native Cα [L, 3] in model
units, ``known`` [L], ``index`` [L] residue numbers.
"""

from __future__ import annotations

import warnings
from itertools import product
from math import exp, log, log1p, sqrt

import biotite.structure as struc
import numpy as np
from numpy.linalg import norm
from scipy.spatial.transform import Rotation
from scipy.special import log_softmax

UNIT = 10.0
MASK, FIRST_AMINO_ACID = 1, 5


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def chains(known, index, span):
    """Starts of runs of ``span`` known residues with consecutive numbers."""
    for i in range(len(known) - span + 1):
        window = range(i, i + span)
        if all(known[k] for k in window) and all(
            index[k + 1] - index[k] == 1 for k in list(window)[:-1]
        ):
            yield i


def pairs(known):
    places = np.flatnonzero(known)
    return [(i, j) for i, j in product(places, places) if i != j]


def fape(x, r, y, s, known, clamp=None, eps=1e-8):
    places = np.flatnonzero(known)
    if len(places) < 3:
        return 0.0
    errors = []
    for f, j in product(places, places):
        error = sqrt(norm(r[f].T @ (x[j] - x[f]) - s[f].T @ (y[j] - y[f])) ** 2 + eps)
        errors.append(error if clamp is None else min(error, clamp / UNIT))
    return mean(errors)


def frame_rot(r, s, known):
    places = np.flatnonzero(known)
    if len(places) < 3:
        return 0.0
    return mean(1 - (np.trace(r[i].T @ s[i]) - 1) / 2 for i in places)


def dist_mse(x, y, known):
    return mean((norm(x[i] - x[j]) - norm(y[i] - y[j])) ** 2 for i, j in pairs(known))


def bond(x, known, index):
    return mean((norm(x[i + 1] - x[i]) - 3.8 / UNIT) ** 2 for i in chains(known, index, 2))


def angle(x, y, known, index):
    def cosine(z, i):
        a, b = z[i] - z[i + 1], z[i + 2] - z[i + 1]
        return a @ b / norm(a) / norm(b)

    return mean((cosine(x, i) - cosine(y, i)) ** 2 for i in chains(known, index, 3))


def chirality(x, y, known, index):
    def volume(z, i):
        a, b, c = (z[i + k + 1] - z[i + k] for k in range(3))
        return np.linalg.det(np.stack([a, b, c])) / norm(a) / norm(b) / norm(c)

    return mean((volume(x, i) - volume(y, i)) ** 2 for i in chains(known, index, 4))


def rg(log_rg, y, known):
    points = y[known] * UNIT
    if len(points) < 2:
        return 0.0
    radius = sqrt(mean(norm(p - points.mean(0)) ** 2 for p in points))
    return (log_rg - log(radius)) ** 2


def aux_dist(logits, y, known):
    count = logits.shape[-1]
    width = 38.0 / (count + 1)
    terms = []
    for (i, j), k in product(pairs(known), range(count)):
        farther = norm(y[i] - y[j]) * UNIT > 2.0 + (k + 1) * width
        terms.append(log1p(exp(-logits[i, j, k] if farther else logits[i, j, k])))
    return mean(terms)


def aux_distogram(logits, y, known):
    last = logits.shape[-1] - 1
    terms = []
    for i, j in pairs(known):
        place = min(max(int((norm(y[i] - y[j]) * UNIT - 2.0) / (38.0 / (last + 1))), 0), last)
        terms.append(log(sum(exp(x - logits[i, j, place]) for x in logits[i, j])))
    return mean(terms)


def clash(x, contacts, known, index):
    bonded = set(chains(known, index, 2))
    free = [(i, j) for i, j in pairs(known) if not (abs(i - j) == 1 and min(i, j) in bonded)]
    return mean(
        ((1 + 2 * contacts[i, j]) * max(3.0 / UNIT - norm(x[i] - x[j]), 0.0)) ** 2 for i, j in free
    )


def aligned_mse(x, y, known):
    x, y = x[known], y[known]
    x, y = x - x.mean(0), y - y.mean(0)
    with warnings.catch_warnings():  # few points leave the rotation undetermined
        warnings.simplefilter("ignore", UserWarning)
        laid = Rotation.align_vectors(x, y)[0].apply(y) if len(x) > 1 else y
    return mean(norm(a - b) ** 2 for a, b in zip(x, laid, strict=True))


def smooth_lddt(x, y, known, cutoff=15.0):
    near = [(i, j) for i, j in pairs(known) if UNIT * norm(y[i] - y[j]) < cutoff]

    def lost(i, j):
        error = UNIT * abs(norm(x[i] - x[j]) - norm(y[i] - y[j]))
        return 1 - mean(1 / (1 + exp(error - c)) for c in (0.5, 1, 2, 4))

    return mean(lost(i, j) for i, j in near)


def masked_residues(logits, seen, native):
    places = [i for i in range(len(seen)) if seen[i] == MASK and native[i] >= FIRST_AMINO_ACID]
    return mean(-log_softmax(logits[i])[native[i] - FIRST_AMINO_ACID] for i in places)


def secondary(logits, y, known, index):
    places = np.flatnonzero(known)
    atoms = struc.AtomArray(len(places))
    atoms.coord, atoms.res_id = UNIT * y[places], index[places] + 1
    atoms.res_name[:], atoms.atom_name[:], atoms.chain_id[:] = "ALA", "CA", "A"
    states = struc.annotate_sse(atoms) if len(places) > 5 else ["c"] * len(places)
    return mean(
        -log_softmax(logits[i])["cab".index(s)] for i, s in zip(places, states, strict=True)
    )
