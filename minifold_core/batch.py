"""The data that flows through a model: batches of proteins, and the truth losses compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from minifold_core.cath import LEVELS, UNKNOWN, Level
from minifold_core.geometry.frames import ca_frame_mask, ca_rotations
from minifold_core.residues import MASK, MAX_SIDECHAIN_ATOMS, PAD, UNK, encode
from minifold_core.units import MODEL_UNIT


@dataclass(frozen=True)
class ProteinBatch:
    """A padded batch of chains; coordinates in ångström, zero where unknown.

    Attributes:
        tokens: [B, L] residue ids, PAD beyond a chain's end.
        residue_index: [B, L] position along the chain; it jumps where residues are missing.
        backbone: [B, L, 4, 3] N, Cα, C, O.
        backbone_mask: [B, L, 4] which of those atoms are known.
        names: B chain names.
        cath: [B, 2] numbers of the CATH class and architecture, -1 where unknown; None: nowhere
            known.
        sidechain: [B, L, 10, 3] heavy side-chain atoms, in the order of
            :data:`~minifold_core.residues.SIDECHAIN_ATOMS`; None: no chain has any.
        sidechain_mask: [B, L, 10] which of those atoms are known.
        hidden_tokens: [B, L] native residue ids where ``tokens`` hides some; None: it hides none.
        embeddings: [B, L, e] precomputed features of the residues, 0 where hidden; None: not given.
    """

    tokens: Tensor
    residue_index: Tensor
    backbone: Tensor
    backbone_mask: Tensor
    names: tuple[str, ...]
    cath: Tensor | None = None
    sidechain: Tensor | None = None
    sidechain_mask: Tensor | None = None
    hidden_tokens: Tensor | None = None
    embeddings: Tensor | None = None

    @property
    def mask(self) -> Tensor:
        """[B, L] True where there is a residue."""
        return self.tokens.ne(PAD)

    @property
    def native_tokens(self) -> Tensor:
        """[B, L] residue ids, also where the condition is hidden."""
        return self.tokens if self.hidden_tokens is None else self.hidden_tokens

    @property
    def ca(self) -> Tensor:
        """[B, L, 3] Cα coordinates in ångström."""
        return self.backbone[:, :, 1]

    @property
    def ca_mask(self) -> Tensor:
        """[B, L] True where the Cα is known."""
        return self.backbone_mask[:, :, 1]

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def to(self, device: torch.device | str) -> ProteinBatch:
        """The same batch on another device; from pinned memory the copy does not wait."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> ProteinBatch:
        """The same batch in page-locked memory; data loaders ask for it on the way to a GPU."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> ProteinBatch:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        changed: dict[str, Any] = {
            name: change(value) for name, value in values.items() if isinstance(value, Tensor)
        }
        return replace(self, **changed)

    def without_condition(self, drop: Tensor | None = None) -> ProteinBatch:
        """Replace residues by MASK in the proteins where ``drop`` [B] is True (default: all)."""
        return self.without_residues(self.mask if drop is None else drop[:, None])

    def without_residues(self, chosen: Tensor) -> ProteinBatch:
        """Replace residues by MASK where ``chosen`` [B, L] (or [B, 1]) is True.

        PAD stays PAD, so that every attention mask remains as it was: PAD as the null token would
        leave a protein without any residue to attend to. Embeddings are 0 there.
        """
        chosen = self.mask & chosen
        rows = self.embeddings
        return replace(
            self,
            tokens=self.tokens.masked_fill(chosen, MASK),
            hidden_tokens=self.native_tokens,
            embeddings=None if rows is None else rows.masked_fill(chosen[..., None], 0),
        )

    def turned(self, rotations: Tensor) -> ProteinBatch:
        """The same chains, each turned by its rotation [B, 3, 3] about the origin."""

        def turn(atoms: Tensor) -> Tensor:
            return torch.einsum("bij,blaj->blai", rotations.to(atoms), atoms)

        return replace(
            self,
            backbone=turn(self.backbone),
            sidechain=None if self.sidechain is None else turn(self.sidechain),
        )

    @classmethod
    def from_sequences(
        cls, sequences: Sequence[str], names: Sequence[str] | None = None
    ) -> ProteinBatch:
        """A batch without coordinates, from one-letter sequences.

        Raises:
            RequestError: a sequence holds a character that is no residue letter.
        """
        rows = [torch.tensor(encode(sequence), dtype=torch.long) for sequence in sequences]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
        b, length = tokens.shape
        return cls(
            tokens=tokens,
            residue_index=torch.arange(length).expand(b, length),
            backbone=torch.zeros(b, length, 4, 3),
            backbone_mask=torch.zeros(b, length, 4, dtype=torch.bool),
            names=tuple(names or (f"sequence{i + 1}" for i in range(b))),
        )


@dataclass(frozen=True)
class Truth:
    """Native structures in model units, centred on their Cα atoms.

    Attributes:
        backbone: [B, L, 4, 3] N, Cα, C, O in model units.
        backbone_mask: [B, L, 4].
        residue_index: [B, L].
        scale: [B] ångström per model unit.
        cath: [B, 2] numbers of the CATH class and architecture, -1 where unknown; None: nowhere
            known.
        tokens: [B, L] native residue ids, also where the condition is hidden; default UNK.
        sidechain: [B, L, 10, 3] heavy side-chain atoms in model units, in the order of
            :data:`~minifold_core.residues.SIDECHAIN_ATOMS`; default 0.
        sidechain_mask: [B, L, 10] which of those atoms are known; default none.
    """

    backbone: Tensor
    backbone_mask: Tensor
    residue_index: Tensor
    scale: Tensor
    cath: Tensor | None = None
    tokens: Tensor = None  # type: ignore[assignment]
    sidechain: Tensor = None  # type: ignore[assignment]
    sidechain_mask: Tensor = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        # Whoever reads them need not ask whether they are there; what is expanded takes no memory.
        places = self.residue_index.shape
        atoms = (*places, MAX_SIDECHAIN_ATOMS)
        if self.tokens is None:
            self._fill("tokens", self.residue_index.new_full((), UNK).expand(places))
        if self.sidechain is None:
            self._fill("sidechain", self.backbone.new_zeros(()).expand(*atoms, 3))
            self._fill("sidechain_mask", self.backbone_mask.new_zeros(()).expand(atoms))

    def _fill(self, name: str, value: Tensor) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def of(cls, batch: ProteinBatch, by_size: bool = False) -> Truth:
        """The native structures of ``batch``, in model units.

        Args:
            batch: B proteins.
            by_size: divide each by its own radius of gyration instead of :data:`MODEL_UNIT`.
        """
        known = batch.ca_mask[..., None].to(batch.backbone)
        count = known.sum(1).clamp(min=1)
        centre = (batch.ca * known).sum(1) / count
        scale = torch.full_like(centre[:, 0], MODEL_UNIT)
        if by_size:
            squares = ((batch.ca - centre[:, None]) * known).pow(2).sum((1, 2)) / count[:, 0]
            # A lone residue has no size; it keeps the fixed unit.
            scale = torch.where(squares > 1e-6, squares.clamp(min=1e-6).sqrt(), scale)

        def placed(atoms: Tensor, known: Tensor) -> Tensor:
            centred = (atoms - centre[:, None, None]) / scale[:, None, None, None]
            return centred * known[..., None]

        side = {}
        if batch.sidechain is not None and batch.sidechain_mask is not None:
            side["sidechain"] = placed(batch.sidechain, batch.sidechain_mask)
            side["sidechain_mask"] = batch.sidechain_mask
        return cls(
            backbone=placed(batch.backbone, batch.backbone_mask),
            backbone_mask=batch.backbone_mask,
            residue_index=batch.residue_index,
            scale=scale,
            cath=batch.cath,
            tokens=batch.native_tokens,
            **side,
        )

    @property
    def ca(self) -> Tensor:
        """[B, L, 3] Cα coordinates in model units, their centre at the origin."""
        return self.backbone[:, :, 1]

    @property
    def mask(self) -> Tensor:
        """[B, L] True where the Cα is known."""
        return self.backbone_mask[:, :, 1]

    @cached_property
    def rotations(self) -> Tensor:
        """[B, L, 3, 3] native frames, by Gram-Schmidt on consecutive Cα atoms."""
        return ca_rotations(self.ca, self.mask)

    @cached_property
    def frame_mask(self) -> Tensor:
        """[B, L] True where a native frame is defined."""
        return ca_frame_mask(self.mask)

    def cath_labels(self, level: Level) -> Tensor:
        """[B] numbers of the CATH class or architecture, -1 where unknown."""
        if self.cath is None:
            return torch.full((len(self.mask),), UNKNOWN, device=self.mask.device)
        return self.cath[:, LEVELS.index(level)]

    def bonded(self, span: int = 2) -> Tensor:
        """[B, L-span+1] True where ``span`` consecutive residues are known and unbroken."""
        length = self.mask.shape[1]
        if length < span:
            return self.mask.new_zeros(self.mask.shape[0], 0)
        count = length - span + 1
        good = self.mask[:, :count].clone()
        for k in range(1, span):
            step = (
                self.residue_index[:, k : k + count] - self.residue_index[:, k - 1 : k - 1 + count]
            )
            good &= self.mask[:, k : k + count] & step.eq(1)
        return good
