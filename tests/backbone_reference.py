"""Backbones from torsions, and the backbone losses, in plain float64 loops over the formulas.

Structures are [L, 4, 3], N, Cα, C, O; those of the losses in model units, one protein at a time.
"""

from __future__ import annotations

from math import atan2, cos, pi, radians, sin, sqrt

import numpy as np
from numpy.linalg import norm

from loss_reference import UNIT, chains, mean

LENGTHS = {"N-CA": 1.458, "CA-C": 1.523, "C-N": 1.329, "C-O": 1.231}
N_CA_C, CA_C_N, C_N_CA = radians(111.0), np.arccos(-0.4473), np.arccos(-0.5203)
CA_C_O = radians(120.6)


def placed(a, b, c, length, angle, torsion):
    """The atom ``length`` from c, with angle b-c-d and torsion a-b-c-d (NeRF, Parsons 2005)."""
    x = (c - b) / norm(c - b)
    z = np.cross(b - a, x)
    z = z / norm(z)
    y = np.cross(z, x)
    return c + length * (-cos(angle) * x + sin(angle) * (cos(torsion) * y + sin(torsion) * z))


def backbone(phi, psi, omega):
    """[L, 4, 3] ideal in ångström; omega[i] and psi[i] lead to residue i + 1, phi[0] is idle."""
    n = np.zeros(3)
    ca = np.array([LENGTHS["N-CA"], 0.0, 0.0])
    c = ca + LENGTHS["CA-C"] * np.array([-cos(N_CA_C), sin(N_CA_C), 0.0])
    residues = []
    for i in range(len(phi)):
        o = placed(n, ca, c, LENGTHS["C-O"], CA_C_O, psi[i] + pi)
        residues.append([n, ca, c, o])
        n = placed(n, ca, c, LENGTHS["C-N"], CA_C_N, psi[i])
        ca, before = placed(ca, c, n, LENGTHS["N-CA"], C_N_CA, omega[i]), c
        c = placed(before, n, ca, LENGTHS["CA-C"], N_CA_C, phi[(i + 1) % len(phi)])
    return np.array(residues)


def turn(angle, torsion):
    """[3, 3] from the frame of one bond to that of the next; each frame's first axis is the bond,
    and the atom before the bond lies in the plane of the first two, on the positive side."""
    x = np.array([-cos(angle), sin(angle) * cos(torsion), sin(angle) * sin(torsion)])
    y = np.array([-1.0, 0.0, 0.0]) - cos(angle) * x
    y = y / norm(y)
    return np.stack([x, y, np.cross(x, y)], -1)


def frames(phi, psi, omega):
    """Consecutive N-Cα-C frames: [L, 3, 3], and their origins [L, 3] in ångström."""
    rotation, origin = np.eye(3), np.zeros(3)
    rotations, origins = [], []
    for i in range(len(phi)):
        rotations.append(rotation)
        origins.append(origin)
        c_n = rotation @ turn(CA_C_N, psi[i])
        n_ca = c_n @ turn(C_N_CA, omega[i])
        steps = LENGTHS["CA-C"] * rotation + LENGTHS["C-N"] * c_n + LENGTHS["N-CA"] * n_ca
        origin = origin + steps[:, 0]
        rotation = n_ca @ turn(N_CA_C, phi[(i + 1) % len(phi)])
    return np.array(rotations), np.array(origins)


def torsion(a, b, c, d):
    """Angle between the projections of b-a and c-d along the axis b-c."""
    axis = (c - b) / norm(c - b)
    u = (a - b) - ((a - b) @ axis) * axis
    v = (d - c) - ((d - c) @ axis) * axis
    return atan2(np.cross(u, v) @ axis, u @ v)


def torsions(x, i):
    """ψ of residue i, ω after it, φ of the next."""
    (n, ca, c, _), (n2, ca2, c2, _) = x[i], x[i + 1]
    return torsion(n, ca, c, n2), torsion(ca, c, n2, ca2), torsion(c, n2, ca2, c2)


def frame(residue):
    n, ca, c, _ = residue
    e1 = (c - ca) / norm(c - ca)
    e3 = np.cross(e1, n - ca)
    e3 = e3 / norm(e3)
    return np.stack([e1, np.cross(e3, e1), e3], -1)


def bb_fape(x, y, known, index):
    errors = []
    for f in range(len(x)):
        if not known[f, :3].all():
            continue
        r, s = frame(x[f]), frame(y[f])
        for j, atom in zip(*np.nonzero(known), strict=True):
            error = r.T @ (x[j, atom] - x[f, 1]) - s.T @ (y[j, atom] - y[f, 1])
            errors.append(sqrt(norm(error) ** 2 + 1e-8))
    return mean(errors)


def bb_bond(x, y, known, index):
    there, links = known[:, 1], list(chains(known[:, 1], index, 2))
    bonds = [(x[i, 0], x[i, 1], "N-CA") for i in np.flatnonzero(there)]
    bonds += [(x[i, 1], x[i, 2], "CA-C") for i in np.flatnonzero(there)]
    bonds += [(x[i, 2], x[i, 3], "C-O") for i in np.flatnonzero(there)]
    bonds += [(x[i, 2], x[i + 1, 0], "C-N") for i in links]
    return mean((norm(a - b) - LENGTHS[kind] / UNIT) ** 2 for a, b, kind in bonds)


def bb_angle(x, y, known, index):
    angles = [(*x[i, :3], N_CA_C) for i in np.flatnonzero(known[:, 1])]
    for i in chains(known[:, 1], index, 2):
        angles.append((x[i, 1], x[i, 2], x[i + 1, 0], CA_C_N))
        angles.append((x[i, 2], x[i + 1, 0], x[i + 1, 1], C_N_CA))
    return mean(
        ((a - b) @ (c - b) / norm(a - b) / norm(c - b) - cos(ideal)) ** 2
        for a, b, c, ideal in angles
    )


def omega(x, y, known, index, target="planar"):
    terms = []
    for i in chains(known[:, 1], index, 2):
        if target == "planar":
            terms.append(1 - cos(torsions(x, i)[1] - pi))
        elif known[i, 1:3].all() and known[i + 1, :2].all():
            terms.append(1 - cos(torsions(x, i)[1] - torsions(y, i)[1]))
    return mean(terms)


def phi_psi(x, y, known, index):
    terms = []
    for i in chains(known[:, 1], index, 2):
        if known[i, :3].all() and known[i + 1, 0]:
            terms.append(1 - cos(torsions(x, i)[0] - torsions(y, i)[0]))
        if known[i, 2] and known[i + 1, :3].all():
            terms.append(1 - cos(torsions(x, i)[2] - torsions(y, i)[2]))
    return mean(terms)
