"""The objectives' forward passes: what gets a gradient, what is detached, which options act."""

import pytest
import torch

from sigma_bench.losses.clustering import ClusteringSettings
from sigma_bench.models.masked import MaskedVideoModel, masked_model
from sigma_bench.pretrain.forward import feature_l2_forward, pixel_forward, pixel_targets, sigma_balance, sigma_forward
from sigma_bench.pretrain.projector import MlpProjector

CLIPS = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[True, True, True, False] * 2, [False, True, True, True] * 2])


def _model(out_dim: int = 16, projector: bool = True, prototypes: int = 6) -> MaskedVideoModel:
    torch.manual_seed(0)
    head = MlpProjector(1536, [32], out_dim) if projector else None
    return masked_model("nano", out_dim=out_dim, image_size=32, frames=4, head=head, prototypes=prototypes)


def test_every_parameter_of_sigma_is_trained():
    model = _model()
    torch.autograd.backward(sigma_forward(model, CLIPS, MASK, ClusteringSettings())["loss"])
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_the_decoder_branch_does_not_train_prototypes_nor_projector():
    model = _model()
    found = sigma_forward(model, CLIPS, MASK, ClusteringSettings())
    torch.autograd.backward(found["loss"], inputs=[model.head[0].weight, model.prototypes])
    twice = {"head": model.head[0].weight.grad.clone(), "prototypes": model.prototypes.grad.clone()}
    # the same targets against assignments that come from another decoder: only the labels it gives may matter
    other = _model()
    with torch.no_grad():
        other.decoder.head.weight.mul_(3)  # directions change little, lengths not at all
        other.decoder.head.bias.mul_(3)
    again = sigma_forward(other, CLIPS, MASK, ClusteringSettings())
    torch.autograd.backward(again["loss"])
    assert torch.equal(again["labels2"], found["labels2"])
    torch.testing.assert_close(other.head[0].weight.grad, twice["head"])
    torch.testing.assert_close(other.prototypes.grad, twice["prototypes"])


@pytest.mark.parametrize("where", ["head", "decoder"])
def test_undefined_outputs_give_an_undefined_loss_that_can_still_be_stepped_back(where):
    model = _model()
    with torch.no_grad():
        (model.head[0] if where == "head" else model.decoder.head).weight[0, 0] = float("nan")
    found = sigma_forward(model, CLIPS, MASK, ClusteringSettings(), watch=True)
    assert found["loss"].isnan()
    torch.autograd.backward(found["loss"])
    assert model.encoder.patch_embed.proj.weight.grad is not None
    assert sigma_balance(model, [(CLIPS, MASK, None)], ClusteringSettings()) is None


def test_balance_over_parts_gives_the_loss_of_the_whole():
    model = _model()
    whole = sigma_forward(model, CLIPS, MASK, ClusteringSettings())
    parts = [(CLIPS[:1], MASK[:1], None), (CLIPS[1:], MASK[1:], None)]
    weights = sigma_balance(model, parts, ClusteringSettings())
    pieces = [sigma_forward(model, c, m, ClusteringSettings(), t, weights=weights) for c, m, t in parts]
    assert torch.equal(torch.cat([p["labels1"] for p in pieces]), whole["labels1"])
    assert torch.equal(torch.cat([p["labels2"] for p in pieces]), whole["labels2"])
    torch.testing.assert_close(sum(p["loss"] for p in pieces) / 2, whole["loss"], rtol=1e-6, atol=1e-6)


def test_given_targets_replace_pixels_and_may_skip_the_projector():
    model = _model(projector=False)
    features = torch.randn(2, 6, 16)
    out = sigma_forward(model, CLIPS, MASK, ClusteringSettings(), targets=features)
    assert out["projected"] is features
    assert out["labels1"].shape == (12,)


def test_soft_and_hard_differ():
    losses = [sigma_forward(_model(), CLIPS, MASK, ClusteringSettings(hard=h))["loss"].item() for h in (True, False)]
    assert losses[0] != losses[1]


def test_losses_stay_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = sigma_forward(_model(), CLIPS, MASK, ClusteringSettings())
    assert {out[k].dtype for k in ("loss", "loss1", "loss2")} == {torch.float32}
    assert out["decoded"].dtype == torch.bfloat16


def test_pixels_and_features_train():
    model = _model(1536, projector=False, prototypes=0)
    for normalize in (True, False):
        out = pixel_forward(model, CLIPS, MASK, normalize)
        assert torch.equal(out["targets"], pixel_targets(model, CLIPS, MASK, normalize))
        torch.autograd.backward(out["loss"])
    learned = _model(prototypes=0)
    torch.autograd.backward(feature_l2_forward(learned, CLIPS, MASK)["loss"])
    assert [n for n, p in learned.named_parameters() if p.grad is None] == []


def test_a_model_without_prototypes_is_refused():
    with pytest.raises(ValueError, match="no prototypes"):
        sigma_forward(_model(prototypes=0), CLIPS, MASK, ClusteringSettings())


def test_fifty_steps_lower_the_pixel_loss():
    model = _model(1536, projector=False, prototypes=0)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    clips = torch.nn.functional.interpolate(CLIPS.flatten(1, 2)[:, :, ::8, ::8], 32).view_as(CLIPS)
    losses = []
    for _ in range(50):
        out = pixel_forward(model, clips, MASK)
        optimizer.zero_grad()
        torch.autograd.backward(out["loss"])
        optimizer.step()
        losses.append(out["loss"].item())
    assert losses[-1] < 0.7 * losses[0]
