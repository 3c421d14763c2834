"""The radius of gyration and distance heads."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch.testing import assert_close

from minifold_heads.config import OrdinalDistanceHeadConfig, RgHeadConfig
from minifold_heads.distance import OrdinalDistanceHead
from minifold_heads.rg import RgHead


def rg_head() -> RgHead:
    torch.manual_seed(0)
    return RgHead(RgHeadConfig(hidden=8), {"single": 6})


def distance_head(reads: str = "aux_pair", bins: int = 32) -> OrdinalDistanceHead:
    torch.manual_seed(0)
    config = OrdinalDistanceHeadConfig(reads=reads, bins=bins)
    return OrdinalDistanceHead(config, {reads: 10})


def test_rg_starts_near_a_typical_fold() -> None:
    found = rg_head()(single=torch.randn(5, 50, 6), mask=torch.ones(5, 50, dtype=torch.bool))
    assert (found["log_rg"] - math.log(13.0)).abs().max() < 0.5


@pytest.mark.parametrize("reads", ["aux_pair", "pair"])
def test_distance_logits_are_symmetric_and_never_rise(reads: str) -> None:
    head = distance_head(reads)
    with torch.no_grad():
        head.scores.weight.mul_(50)
    logits = head(**{reads: 5 * torch.randn(2, 9, 9, 10)})["distance_logits"]
    assert logits.shape == (2, 9, 9, 31)
    assert_close(logits, logits.transpose(1, 2))
    assert (logits.diff(dim=-1) <= 0).all()


def test_distance_logits_start_as_an_even_ladder() -> None:
    head = distance_head()
    with torch.no_grad():
        head.scores.weight.zero_()
    logits = head(aux_pair=torch.randn(1, 2, 2, 10))["distance_logits"]
    assert_close(logits[0, 0, 1], torch.linspace(6, -4, 31))


def test_edges_divide_the_range_evenly() -> None:
    config = OrdinalDistanceHeadConfig()
    assert_close(config.edges(), torch.linspace(2, 40, 33)[1:-1].tolist())
    assert config.gives()[0].width == len(config.edges()) == 31
    assert config.needs()[0].name == "aux_pair"


@pytest.mark.parametrize("bins", [2, 3])
def test_few_bins(bins: int) -> None:
    logits = distance_head(bins=bins)(aux_pair=torch.randn(1, 3, 3, 10))["distance_logits"]
    assert logits.shape[-1] == bins - 1
    assert logits.isfinite().all()


@pytest.mark.parametrize("wrong", [{"bins": 1}, {"low": 40.0}, {"reads": "single"}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        OrdinalDistanceHeadConfig(**wrong)
