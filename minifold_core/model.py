"""A model: slots filled with components, joined by their ports."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from minifold_core.assembly import Wiring, embedding_ports
from minifold_core.batch import ProteinBatch
from minifold_core.errors import RequestError
from minifold_core.interfaces import Component, Denoiser, Features, GatedDenoiser
from minifold_core.phases import phase
from minifold_core.placing import Step
from minifold_core.port_check import check_given
from minifold_core.ports import PER_STATE, SAMPLED_PORT
from minifold_core.recipe import Recipe
from minifold_core.units import MODEL_UNIT


class FoldModel(nn.Module):
    """The parts of a recipe, run in the order of their wiring.

    Slots are attributes (``encoder``, ``pair_stack``, ..., ``heads.NAME``), so state-dict names
    begin with slots and never with classes: that is what lets weights move between versions.
    """

    def __init__(self, recipe: Recipe, wiring: Wiring) -> None:
        super().__init__()
        self.recipe = recipe
        self.wiring = wiring
        heads = {}
        for step in wiring.steps:
            slot = step.slot
            module = slot.spec.implementation_class()(slot.config, step.widths)
            if slot.frozen:
                module.requires_grad_(False)
            if step.finished and any(p.requires_grad for p in module.parameters()):
                raise RequestError(
                    f"{slot.path} '{slot.spec.name}' has weights to train and judges finished "
                    f"structures, of which training has none; --set {slot.path}.frozen=true keeps "
                    "them as they are"
                )
            if slot.path.startswith("heads."):
                heads[slot.path.removeprefix("heads.")] = module
            else:
                self.add_module(slot.path, module)
        self.heads = nn.ModuleDict(heads)
        needed = {name for step in wiring.steps if step.per_state for name in step.reads}
        if recipe.coordinates.scale == "rg":
            needed.add("log_rg")
        self._for_sampling = wiring.needed_for(needed)
        given = {name for s in wiring.steps if s.per_state for name in s.gives.values()}
        self.changing = frozenset(given | {"snr"})
        """Ports whose values differ from one noise level to the next."""
        ports = embedding_ports(recipe).values()
        self._needs_embeddings = any(not port.optional for port in ports)

    def trunk(self, batch: ProteinBatch, complete: bool = False) -> Features:
        """What depends on the sequence alone: computed once per protein, not once per step.

        Args:
            batch: B proteins; their coordinates are not read if there is a denoiser.
            complete: also run the slots that only losses read (auxiliary stack, heads).

        Returns:
            The data ports and everything that the trunk's slots give, by port name.

        Raises:
            RequestError: a part needs embeddings and the batch has none.
        """
        features: Features = {
            "tokens": batch.tokens,
            "mask": batch.mask,
            "residue_index": batch.residue_index,
        }
        if batch.embeddings is not None:
            features["embeddings"] = batch.embeddings
        elif self._needs_embeddings:
            raise RequestError(
                f"{self.recipe.id} reads precomputed embeddings and its chains have none; only "
                "train, resume, sample and evaluate take them with --embeddings FILE"
            )
        if self.recipe.process is None:
            features["given_backbone"] = batch.backbone
            features["given_backbone_mask"] = batch.backbone_mask
        steps = (s for s in self.wiring.steps if not s.per_state)
        features = self._run(
            (s for s in steps if complete or s.slot.path in self._for_sampling), features
        )
        return features | self._prepared(features)

    def _prepared(self, trunk: Features) -> Features:
        """What the denoiser makes of the trunk alone, by ``denoiser.NAME``."""
        for step in self.wiring.steps:
            module = self.part(step.slot.path)
            if isinstance(module, Denoiser):
                ports = {name: trunk.get(name) for name in step.reads if name not in PER_STATE}
                with phase(f"{self._doing}: denoiser, once per protein"):
                    given = module.prepare(**ports)
                return {f"{step.slot.path}.{name}": value for name, value in given.items()}
        return {}

    def denoise(
        self,
        trunk: Features,
        coords_t: Tensor,
        t: Tensor,
        snr: Tensor,
        mask: Tensor,
        coords_prev: Tensor | None = None,
    ) -> Features:
        """Predict the structure without noise; the heads behind the denoiser do not run.

        Args:
            trunk: what :meth:`trunk` returned for the same B proteins.
            coords_t: [B, L, 3] noised Cα in model units.
            t: [B] times.
            snr: [B] signal-to-noise ratios at those times.
            mask: [B, L] residues that have a coordinate.
            coords_prev: [B, L, 3] an earlier prediction, for self-conditioning.

        Returns:
            What the denoiser gives; at least ``coords`` [B, L, 3].
        """
        features = trunk | {"mask": mask, "coords_t": coords_t, "t": t, "snr": snr}
        if coords_prev is not None:
            features["coords_prev"] = coords_prev
        return self._new((s for s in self.wiring.steps if s.slot.path == "denoiser"), features)

    def scale(self, trunk: Features) -> Tensor:
        """[B] ångström per model unit of structures sampled from ``trunk``."""
        if self.recipe.coordinates.scale == "rg":
            return trunk["log_rg"].exp()
        return torch.full((len(trunk["mask"]),), MODEL_UNIT, device=trunk["mask"].device)

    def read_out(
        self, trunk: Features, prediction: Features, mask: Tensor, scale: Tensor
    ) -> Features:
        """What the heads behind the denoiser make of its ``prediction``; empty without such heads.

        Args:
            trunk: what :meth:`trunk` returned for the same B proteins.
            prediction: ``coords`` [B, L, 3] and what else :meth:`denoise` gave; with ``sampled``
                [B, L, 3], heads that judge a finished structure run too.
            mask: [B, L] residues that have a coordinate.
            scale: [B] ångström per model unit.
        """
        heads = (
            s
            for s in self.wiring.steps
            if s.per_state
            and s.slot.path != "denoiser"
            and (SAMPLED_PORT.name in prediction or not s.finished)
        )
        return self._new(heads, trunk | prediction | {"mask": mask, "scale": scale})

    def _new(self, steps: Iterable[Step], features: Features) -> Features:
        """Run ``steps`` and return what they add to ``features``."""
        done = self._run(steps, features)
        return {name: value for name, value in done.items() if name not in features}

    def _run(self, steps: Iterable[Step], features: Features) -> Features:
        features = dict(features)
        for step in steps:
            module, own = self.part(step.slot.path), f"{step.slot.path}."
            prepared = {n.removeprefix(own): v for n, v in features.items() if n.startswith(own)}
            with phase(f"{self._doing}: {step.slot.path}"):
                given = module(**{name: features.get(name) for name in step.reads}, **prepared)
            check_given(step, given, features["mask"])
            for own, name in step.gives.items():
                features[name] = given[own]
        return features

    @property
    def equivariant(self) -> bool:
        """Whether predictions turn and shift with the state, by construction, in any noise."""
        return all(
            denoiser.equivariant
            and not (
                isinstance(denoiser, GatedDenoiser) and denoiser.confidence(torch.zeros(1)) < 1
            )
            for denoiser in self.children()
            if isinstance(denoiser, Denoiser)
        )

    @property
    def _doing(self) -> str:
        return "forward" if self.training else "evaluation"

    def part(self, path: str) -> Component:
        """The component in a slot."""
        module = self.get_submodule(path)
        assert isinstance(module, Component)
        return module

    def train(self, mode: bool = True) -> FoldModel:
        """Switch to training mode; frozen slots stay in evaluation mode."""
        super().train(mode)
        for step in self.wiring.steps:
            if step.slot.frozen:
                self.part(step.slot.path).eval()
        return self

    def set_checkpointing(self, on: bool) -> None:
        """Recompute activations in the backward pass, in every component that can."""
        for step in self.wiring.steps:
            self.part(step.slot.path).checkpointing = on

    def compile_parts(self, backend: str = "inductor") -> None:
        """Let torch.compile translate every component at its first call, for any length.

        Parts are compiled one by one and in place: names of tensors stay as they are, and a part
        that a plugin brings cannot keep the others from being compiled.
        """
        for step in self.wiring.steps:
            self.part(step.slot.path).compile(dynamic=True, backend=backend)

    def parameter_counts(self) -> dict[str, tuple[int, int]]:
        """Slot path to its number of parameters and how many of them train."""
        counts = {}
        for step in self.wiring.steps:
            parameters = list(self.part(step.slot.path).parameters())
            total = sum(p.numel() for p in parameters)
            trainable = (
                0
                if step.slot.path in self.wiring.idle
                else sum(p.numel() for p in parameters if p.requires_grad)
            )
            counts[step.slot.path] = (total, trainable)
        return counts
