"""Ports: the named tensors that components exchange, with symbolic shapes.

A component's config says what the component needs and what it gives. The assembler checks the
ports of a whole recipe before it builds anything, so this module imports no torch.

Names in use::

    tokens [B,L]  mask [B,L]  residue_index [B,L]            the data, always there
    embeddings [B,L,e]                                       given with --embeddings, 0 where hidden
    coords_t [B,L,3]  t [B]  snr [B]  coords_prev [B,L,3]    the noised state and self-conditioning;
                                                             snr also for losses
    scale [B]  sampled [B,L,3]                               ångström per model unit and a finished
                                                             structure, for heads
    single [B,L,d]  contacts [B,L,L]  pair [B,L,L,p]         encoders and pair stacks
    aux_pair [B,L,L,p]                                       given by a pair stack in aux_pair_stack
    coords [B,L,3]  rotations [B,L,3,3]                      denoisers
    backbone [B,L,4,3]  log_rg [B]  distance_logits [B,L,L,k]  distance_edges [B,k]   heads
    distogram_logits [B,L,L,n]  distogram_edges [B,k]        the head with n = k + 1 classes
    class_logits [B,4]  architecture_logits [B,38]           the CATH head
    residue_logits [B,L,c]  secondary_logits [B,L,c]         heads, 0 off the chain
    plddt [B,L]                                              the confidence head
    sidechain [B,L,10,3]                                     a head, 0 where a residue has no atom
    given_backbone [B,L,4,3]  given_backbone_mask [B,L,4]    native, Å; only without a denoiser
    truth.ca  truth.rotations  truth.backbone  truth.cath  truth.tokens  truth.sidechain
                                                             what losses compare with

The conformance kit draws inputs from these shapes: a last axis ``3`` is a point, ``3,3`` a
rotation, and a name that ends in ``edges`` holds ascending distances.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Port:
    """One named tensor.

    Attributes:
        name: the port's name, the keyword under which a component's ``forward`` receives it.
        shape: symbolic shape, for people: ``"B,L,d"``.
        width: size of the last axis. In what a component *gives* it is the actual width; in what
            it *needs*, ``None`` accepts any width (the component is built to fit) and a number
            insists on it.
        optional: the component does without it when nobody gives it; ``forward`` then gets None.
    """

    name: str
    shape: str
    width: int | None = None
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.name}[{self.shape}]"


DATA_PORTS = (
    Port("tokens", "B,L"),
    Port("mask", "B,L"),
    Port("residue_index", "B,L"),
    Port("embeddings", "B,L,e"),
)
"""Only batches whose chains have precomputed embeddings give those. Their reader has their width in
its setting ``d_embedding``, which ``minifold train`` finds in the file."""
GIVEN_PORTS = (
    Port("given_backbone", "B,L,4,3", width=3),
    Port("given_backbone_mask", "B,L,4"),
)
"""The native backbone in ångström, 0 where unknown, for models that are given one, such as packers.

To a model with a denoiser it would be the answer in the input: there is no such port there."""
STATE_PORTS = (
    Port("coords_t", "B,L,3", width=3),
    Port("t", "B"),
    Port("snr", "B"),
    Port("coords_prev", "B,L,3", width=3),
)
"""What the denoiser may read beside the trunk."""
PER_STATE = frozenset({"mask", *(port.name for port in STATE_PORTS)})
"""What the denoiser reads that differs from one noised state of a protein to the next: positions
are missing in some residues of native structures, and in none that is sampled."""
CONFIDENCE_PORT = Port("plddt", "B,L")
"""The lDDT of each residue of a finished structure, 0 to 1, as a head expects it."""
NOISE_PORTS = (Port("snr", "B"),)
"""What losses may read of the noise level, in a recipe with a process."""
SAMPLED_PORT = Port("sampled", "B,L,3", width=3)
"""A finished structure, for heads that judge it. There is none in training: such a head, and what
reads it, learns nothing. Weights that it has must be frozen; losses and metrics cannot read it."""
FINISHED_PORTS = (SAMPLED_PORT, CONFIDENCE_PORT)
"""What there is of finished structures alone."""
READ_OUT_PORTS = (Port("scale", "B"), SAMPLED_PORT)
"""What heads behind the denoiser may read beside the trunk and the denoiser's ports."""
TRUTH_PORTS = (
    Port("truth.ca", "B,L,3", width=3),
    Port("truth.rotations", "B,L,3,3", width=3),
    Port("truth.backbone", "B,L,4,3", width=3),
    Port("truth.cath", "B,2", width=2),
    Port("truth.tokens", "B,L"),
    Port("truth.sidechain", "B,L,10,3", width=3),
)
