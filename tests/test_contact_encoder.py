from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from minifold_contact.config import ContactEncoderConfig
from minifold_contact.encoder import ContactEncoder
from minifold_contact.wrap import unwrap, wrap
from minifold_core.interfaces import Features
from minifold_core.residues import CLS, EOS, MASK, PAD
from minifold_core.testing import draw, perturb

NANO = ContactEncoderConfig(d_model=16, d_pair=12, tower_layers=1, heads=2, opm_hidden=8)


def sequence_inputs(lengths: tuple[int, ...] = (7, 11, 4)) -> Features:
    return draw(NANO.needs(), {}, lengths)


@pytest.fixture
def encoder() -> ContactEncoder:
    torch.manual_seed(0)
    built = ContactEncoder(NANO, {})
    perturb(built)
    return built


def test_parameter_count() -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in ContactEncoder(ContactEncoderConfig(), {}).parameters())
    assert count == 1_187_973
    assert 1_164_000 < count < 1_236_000


def test_contacts_are_symmetric_probabilities(encoder: ContactEncoder) -> None:
    contacts = encoder(**sequence_inputs((30, 41)))["contacts"]
    assert contacts.equal(contacts.transpose(1, 2))
    assert contacts.ge(0).all()
    assert contacts.le(1).all()
    assert contacts[1].std() > 0.01


def test_single_has_unit_scale_with_random_weights() -> None:
    inputs = sequence_inputs((20,))
    for seed in range(3):
        torch.manual_seed(seed)
        single = ContactEncoder(NANO, {})(**inputs)["single"]
        torch.testing.assert_close(
            single.std(-1, correction=0), torch.ones(1, 20), atol=0.01, rtol=0
        )


def test_wrapping_puts_the_ends_next_to_the_chain() -> None:
    tokens = torch.tensor([[7, 8, 9], [7, 8, PAD], [PAD, PAD, PAD]])
    index = torch.tensor([[4, 5, 9], [4, 5, 6], [0, 1, 2]])
    wrapped, inside, moved = wrap(tokens, tokens.ne(PAD), index)
    assert wrapped.tolist() == [
        [CLS, 7, 8, 9, EOS],
        [CLS, 7, 8, EOS, PAD],
        [CLS, EOS, PAD, PAD, PAD],
    ]
    assert inside.equal(wrapped.ne(PAD))
    assert moved[0].tolist() == [3, 4, 5, 9, 10]
    assert moved[1, :4].tolist() == [3, 4, 5, 6]
    assert unwrap(wrapped[..., None])[0, :, 0].tolist() == [7, 8, 9]


@pytest.mark.parametrize("token", [CLS, EOS])
def test_attention_sees_the_end_tokens(encoder: ContactEncoder, token: int) -> None:
    inputs = sequence_inputs()
    before = encoder(**inputs)["single"]
    with torch.no_grad():
        encoder.embedding.weight[token].neg_()
    after = encoder(**inputs)["single"]
    assert (after - before).abs().amax(-1)[inputs["mask"]].gt(1e-5).all()


def test_tokens_and_breaks_matter_and_the_first_number_does_not(encoder: ContactEncoder) -> None:
    inputs = sequence_inputs()
    plain = encoder(**inputs)
    shifted = encoder(**(inputs | {"residue_index": inputs["residue_index"] + 50}))
    torch.testing.assert_close(shifted, plain)
    broken = inputs["residue_index"].clone()
    broken[:, 3:] += 9
    tokens = inputs["tokens"].masked_fill(inputs["mask"], MASK)
    for changed in ({"residue_index": broken}, {"tokens": tokens}):
        other = encoder(**(inputs | changed))
        for name, value in plain.items():
            assert not torch.allclose(other[name], value, atol=1e-3), name


def test_contacts_feed_back_into_the_residues(encoder: ContactEncoder) -> None:
    inputs = sequence_inputs()
    before = encoder(**inputs)["single"]
    with torch.no_grad():
        encoder.contact_blocks[0].outer.weight.neg_()
    assert not torch.allclose(encoder(**inputs)["single"], before, atol=1e-3)


def test_contacts_alone_train_everything_but_the_last_norm(encoder: ContactEncoder) -> None:
    encoder(**sequence_inputs())["contacts"].sum().backward()
    untouched = {name for name, p in encoder.named_parameters() if p.grad is None}
    assert untouched == {"norm.weight", "norm.bias"}


def test_impossible_configs_are_refused() -> None:
    for wrong in ({"d_model": 30, "heads": 4}, {"tower_layers": 0}, {"layers": 2}):
        with pytest.raises(ValidationError):
            ContactEncoderConfig(**wrong)
