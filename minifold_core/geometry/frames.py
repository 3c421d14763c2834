"""Per-residue frames from Cα traces, and rotations part of the way.

All of it runs in float32 or wider whatever the autocast state: norms of near-coincident points
underflow in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPS = 1e-8


def at_least_fp32(x: Tensor) -> Tensor:
    """``x`` in float32, or unchanged if it is wider."""
    return x if x.dtype == torch.float64 else x.float()


def safe_norm(x: Tensor, eps: float = EPS) -> Tensor:
    """Length over the last axis, ``sqrt(sum + eps)``: finite at zero, and so is its gradient."""
    return (at_least_fp32(x).pow(2).sum(-1) + eps).sqrt()


def pairwise_distances(x: Tensor, eps: float = 1e-10) -> Tensor:
    """[..., L, L] distances of points [..., L, 3], with a finite gradient at coincident points."""
    x = at_least_fp32(x)
    return safe_norm(x[..., :, None, :] - x[..., None, :, :], eps)


def gram_schmidt(origin: Tensor, on_axis: Tensor, in_plane: Tensor) -> Tensor:
    """Right-handed rotations from three points (AlphaFold 2, suppl. Algorithm 21).

    Args:
        origin: [..., 3] frame origins.
        on_axis: [..., 3] points on the first axis.
        in_plane: [..., 3] points in the plane of the first two axes.

    Returns:
        [..., 3, 3] whose columns are the axes. Degenerate input (coincident or collinear points)
        falls back to an arbitrary but finite and orthonormal frame.
    """
    origin = at_least_fp32(origin)
    v1, v2 = at_least_fp32(on_axis) - origin, at_least_fp32(in_plane) - origin
    e1 = _unit(v1, v1.new_tensor([1.0, 0.0, 0.0]))
    # A fallback that is never parallel to e1: the axis on which e1 has its smallest component.
    spare = torch.nn.functional.one_hot(e1.abs().argmin(-1), 3).to(e1)
    u2 = v2 - (v2 * e1).sum(-1, keepdim=True) * e1
    u2 = torch.where(safe_norm(u2, 0.0)[..., None] > 1e-4, u2, spare)
    u2 = u2 - (u2 * e1).sum(-1, keepdim=True) * e1
    e2 = u2 / safe_norm(u2, 0.0)[..., None]
    return torch.stack([e1, e2, torch.linalg.cross(e1, e2)], dim=-1)


def _unit(v: Tensor, fallback: Tensor) -> Tensor:
    v = torch.where(v.abs().amax(-1, keepdim=True) > 1e-4, v, fallback)
    return v / safe_norm(v, 0.0)[..., None]


def ca_rotations(ca: Tensor, mask: Tensor) -> Tensor:
    """Frames of a Cα trace by Gram-Schmidt on consecutive triplets.

    The first axis points to the next Cα, the previous one lies in the plane of the first two.
    A residue without both neighbours takes the frame of the neighbour it has; runs of fewer than
    three residues take the identity (:func:`ca_frame_mask` tells which).

    Args:
        ca: [B, L, 3] in any unit.
        mask: [B, L] True where the Cα is known.

    Returns:
        [B, L, 3, 3] rotations; the identity where ``mask`` is False.
    """
    ca = at_least_fp32(ca)
    b, length, _ = ca.shape
    eye = torch.eye(3, dtype=ca.dtype, device=ca.device).expand(b, length, 3, 3)
    if length < 3:
        return eye
    inner = gram_schmidt(ca[:, 1:-1], ca[:, 2:], ca[:, :-2])
    own, after, before = _triplets(mask)
    # Index of the triplet whose frame each residue takes: its own, else the next, else the last.
    offset = torch.where(own, -1, torch.where(after, 0, -2))
    index = (torch.arange(length, device=ca.device) + offset).clamp(0, length - 3)
    taken = inner.gather(1, index[..., None, None].expand(-1, -1, 3, 3))
    return torch.where((own | after | before)[..., None, None], taken, eye)


def ca_frame_mask(mask: Tensor) -> Tensor:
    """[B, L] True where :func:`ca_rotations` finds a frame: in runs of three known Cα or more."""
    own, after, before = _triplets(mask)
    return own | after | before


def _triplets(mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[B, L] whether a residue is the middle, the first or the last of three known ones."""
    known = torch.nn.functional.pad(mask, (2, 2))
    whole = known[:, :-2] & known[:, 1:-1] & known[:, 2:]
    return whole[:, 1:-1], whole[:, 2:], whole[:, :-2]


def rotation_to_quaternion(rotation: Tensor) -> Tensor:
    """[..., 4] unit quaternions (w first, w >= 0) of [..., 3, 3] rotations.

    The largest of the four candidate components is the divisor, so that no angle is singular.
    """
    r = rotation
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    four_squares = torch.stack(
        [1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], dim=-1
    )
    xy, xz, yz = (r[..., i, j] + r[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    wx, wy, wz = (r[..., i, j] - r[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    products = torch.stack(
        [
            torch.stack([four_squares[..., 0], wx, wy, wz], -1),
            torch.stack([wx, four_squares[..., 1], xy, xz], -1),
            torch.stack([wy, xy, four_squares[..., 2], yz], -1),
            torch.stack([wz, xz, yz, four_squares[..., 3]], -1),
        ],
        dim=-2,
    )
    best = four_squares.argmax(-1)[..., None, None].expand(*r.shape[:-2], 1, 4)
    q = products.gather(-2, best).squeeze(-2)
    q = q / safe_norm(q, 0.0)[..., None]
    return torch.where(q[..., :1] < 0, -q, q)


def quaternion_to_rotation(q: Tensor) -> Tensor:
    """[..., 3, 3] rotations of [..., 4] unit quaternions, w first."""
    w, x, y, z = q.unbind(-1)
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def random_rotations(generators: Sequence[torch.Generator]) -> Tensor:
    """[B, 3, 3] rotations, uniform over all, one from each of B generators (Shoemake 1992)."""
    q = torch.stack([torch.randn(4, generator=g, device=g.device) for g in generators])
    return quaternion_to_rotation(q / safe_norm(q, 0.0)[..., None])


def slerp_from_identity(rotation: Tensor, fraction: Tensor) -> Tensor:
    """Rotations a ``fraction`` of the way from the identity, about the same axes (Shoemake 1985).

    Args:
        rotation: [..., 3, 3].
        fraction: [...] in [0, 1]; 1 returns ``rotation`` itself, exactly.
    """
    rotation = at_least_fp32(rotation)
    fraction = fraction.to(rotation.dtype)
    q = rotation_to_quaternion(rotation)
    length = safe_norm(q[..., 1:], EPS)
    half = torch.atan2(length, q[..., 0]) * fraction
    axis = q[..., 1:] / length[..., None]
    part = torch.cat([half.cos()[..., None], half.sin()[..., None] * axis], -1)
    part = part / safe_norm(part, 0.0)[..., None]
    whole = (fraction >= 1)[..., None, None]
    return torch.where(whole, rotation, quaternion_to_rotation(part))
