"""The objectives' forward passes: what gets a gradient, what is detached, which options act."""

import pytest
import torch

from sigma_bench.models.masked import MaskedVideoModel, masked_model
from sigma_bench.pretrain.forward import Clustering, feature_l2_forward, pixel_forward, pixel_targets, sigma_forward
from sigma_bench.pretrain.projector import MlpProjector

CLIPS = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[True, True, True, False] * 2, [False, True, True, True] * 2])


def _model(out_dim: int = 16, projector: bool = True, prototypes: int = 6) -> MaskedVideoModel:
    torch.manual_seed(0)
    head = MlpProjector(1536, [32], out_dim) if projector else None
    return masked_model("nano", out_dim=out_dim, image_size=32, frames=4, head=head, prototypes=prototypes)


def test_every_parameter_of_sigma_is_trained():
    model = _model()
    torch.autograd.backward(sigma_forward(model, CLIPS, MASK, Clustering())["loss"])
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_the_decoder_branch_does_not_train_prototypes_nor_projector():
    model = _model()
    torch.autograd.backward(sigma_forward(model, CLIPS, MASK, Clustering())["loss2"])
    assert model.prototypes.grad is None
    assert all(p.grad is None for p in model.head.parameters())
    assert model.encoder.patch_embed.proj.weight.grad is not None


def test_the_target_branch_trains_prototypes_and_projector_alone():
    model = _model()
    torch.autograd.backward(sigma_forward(model, CLIPS, MASK, Clustering())["loss1"])
    trained = {n.split(".")[0] for n, p in model.named_parameters() if p.grad is not None}
    assert trained == {"prototypes", "head"}


def test_given_targets_replace_pixels_and_may_skip_the_projector():
    model = _model(projector=False)
    features = torch.randn(2, 6, 16)
    out = sigma_forward(model, CLIPS, MASK, Clustering(), targets=features)
    assert out["projected"] is features
    assert out["scores1"].shape == (12, 6)


def test_soft_and_hard_differ():
    losses = [sigma_forward(_model(), CLIPS, MASK, Clustering(hard=h))["loss"].item() for h in (True, False)]
    assert losses[0] != losses[1]


def test_scores_stay_float32_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = sigma_forward(_model(), CLIPS, MASK, Clustering())
    assert {out[k].dtype for k in ("scores1", "scores2", "q1", "q2", "loss")} == {torch.float32}
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
        sigma_forward(_model(prototypes=0), CLIPS, MASK, Clustering())


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
