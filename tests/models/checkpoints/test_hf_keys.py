"""The names of Hugging Face's VideoMAE and ours: one table, the same both ways, at any depth."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sigma_bench.models.checkpoints import hf_keys
from sigma_bench.models.masked import MaskedVideoModel
from sigma_bench.models.vit import VideoViT


def _encoder(depth, norm):
    with torch.device("meta"):
        return VideoViT(32, 16, 4, 2, 8, depth, 2, norm)


@settings(max_examples=30, deadline=None)
@given(depth=st.integers(1, 15), norm=st.booleans())
def test_the_table_is_a_bijection_on_the_names_of_the_encoder(depth, norm):
    table = hf_keys.names(depth, norm)
    assert set(table) == set(_encoder(depth, norm).state_dict())
    theirs = [part for parts in table.values() for part in parts]
    assert len(theirs) == len(set(theirs))
    assert len(theirs) == 15 * depth + 2 + 2 * norm


@settings(max_examples=20, deadline=None)
@given(depth=st.integers(1, 12), norm=st.booleans(), seed=st.integers(0, 99))
def test_tensors_survive_the_way_there_and_back(depth, norm, seed):
    generator = torch.Generator().manual_seed(seed)
    state = {n: torch.randn(t.shape, generator=generator) for n, t in _encoder(depth, norm).state_dict().items()}
    theirs = hf_keys.to_theirs(state, depth, norm)
    back, rest = hf_keys.to_ours(theirs)
    assert not rest
    assert set(back) == set(state)
    assert all(torch.equal(back[name], state[name]) for name in state)


@settings(max_examples=15, deadline=None)
@given(depth=st.integers(1, 12))
def test_the_table_is_a_bijection_on_the_names_of_the_decoder(depth):
    with torch.device("meta"):
        model = MaskedVideoModel(_encoder(1, True), 8, depth, 2, 8)
    table = hf_keys.decoder_names(depth)
    assert set(table) == {name for name in model.state_dict() if not name.startswith("encoder.")}
    theirs = [part for parts in table.values() for part in parts]
    assert len(theirs) == len(set(theirs)) == 15 * depth + 6
    assert all(hf_keys.as_in_files(name) == name for name in theirs)


def test_what_is_no_part_of_a_whole_tensor_of_a_decoder_is_left_over():
    layer = "decoder.decoder_layers.0.attention.attention"
    parts = {f"{layer}.{part}.weight": torch.full((2, 2), value) for value, part in
             enumerate(("query", "key", "value"), 1)}  # fmt: skip
    ours, rest = hf_keys.decoder_to_ours(parts | {"mask_token": torch.zeros(1), "decoder.other": torch.zeros(1)})
    assert set(ours) == {"decoder.blocks.0.attn.qkv.weight", "mask_token"}
    assert ours["decoder.blocks.0.attn.qkv.weight"][:, 0].tolist() == [1, 1, 2, 2, 3, 3]
    assert set(rest) == {"decoder.other"}


def test_queries_keys_and_values_are_stacked_in_this_order():
    state = {name: torch.zeros(tensor.shape) for name, tensor in _encoder(1, False).state_dict().items()}
    state["blocks.0.attn.qkv.weight"] = torch.arange(24.0).unsqueeze(1).expand(24, 8).contiguous()
    theirs = hf_keys.to_theirs(state, 1, False)
    first = {part: float(theirs[f"encoder.layer.0.attention.attention.{part}.weight"][0, 0]) for part in
             ("query", "key", "value")}  # fmt: skip
    assert first == {"query": 0, "key": 8, "value": 16}


def test_both_spellings_of_the_biases_mean_the_same():
    layer = "encoder.layer.3.attention.attention"
    assert hf_keys.as_in_files(f"{layer}.query.bias") == hf_keys.as_in_files(f"{layer}.q_bias") == f"{layer}.q_bias"
    assert hf_keys.as_in_files(f"{layer}.value.bias") == f"{layer}.v_bias"
    assert hf_keys.as_in_files(f"{layer}.key.bias") == f"{layer}.key.bias"
    layer = "decoder.decoder_layers.3.attention.attention"
    assert hf_keys.as_in_files(f"{layer}.query.bias") == f"{layer}.q_bias"


def test_what_is_no_part_of_a_whole_tensor_is_left_over():
    state = hf_keys.to_theirs(
        {name: torch.zeros(tensor.shape) for name, tensor in _encoder(2, True).state_dict().items()}, 2, True
    )
    layer = "encoder.layer.1.attention.attention"
    del state[f"{layer}.key.weight"]
    state[f"{layer}.key.bias"] = torch.zeros(8)
    ours, rest = hf_keys.to_ours(state)
    assert "blocks.1.attn.qkv.weight" not in ours
    assert set(rest) == {f"{layer}.query.weight", f"{layer}.value.weight", f"{layer}.key.bias"}
