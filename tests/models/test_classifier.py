"""The classifier: pooling, norms, initialisation, names, and the logits of finetuned files."""

from dataclasses import replace

import pytest
import timm
import torch

from sigma_bench.contracts import UserError
from sigma_bench.models.checkpoints import load_encoder
from sigma_bench.models.classifier import VideoClassifier
from sigma_bench.models.frames import FrameViT, take_off_head
from sigma_bench.models.timesformer import TimeSformer
from sigma_bench.models.vit import IMAGENET_MEAN, IMAGENET_STD, VideoViT
from sigma_bench.runs.verify.vectors import clips_of
from sigma_bench.train.optim import adamw, finetuning_groups


def _vit(cls_token: bool = False) -> VideoViT:
    torch.manual_seed(0)
    return VideoViT(16, 8, 2, 2, 12, 3, 2, cls_token=cls_token)


def _image_vit() -> FrameViT:
    sizes = {"img_size": 16, "patch_size": 8, "embed_dim": 12, "depth": 3, "num_heads": 2, "reg_tokens": 1}
    model = timm.create_model("vit_tiny_patch16_224", **sizes)
    return FrameViT(model, 2, IMAGENET_MEAN, IMAGENET_STD, take_off_head(model))


def _timesformer() -> TimeSformer:
    return TimeSformer(image_size=16, patch=8, frames=2, dim=12, depth=3, heads=2)


CLIPS = torch.randn(2, 3, 2, 16, 16, generator=torch.Generator().manual_seed(0))


def test_mean_pooling_has_a_norm_of_its_own_and_takes_out_that_of_pretraining():
    model = VideoClassifier(_vit(), 5)
    assert not model.encoder.spec.has_norm
    assert model.encoder.spec.params == sum(p.numel() for p in model.encoder.parameters())
    assert not [name for name in model.state_dict() if name.startswith("encoder.norm")]
    tokens = model.encoder.tokens(CLIPS, norm=False).patch_BTHWD.flatten(1, 3)
    pooled = torch.nn.functional.layer_norm(tokens.mean(1), (12,), eps=1e-6)
    assert torch.allclose(model(CLIPS), pooled @ model.head.weight.T, atol=1e-6)


@pytest.mark.parametrize(
    ("encoder", "pool"),
    [
        *((_vit(), "mean"), (_vit(), "first"), (_vit(True), "cls")),
        *((_timesformer(), "mean"), (_timesformer(), "cls"), (_image_vit(), "mean"), (_image_vit(), "cls")),
    ],
)
def test_every_parameter_is_trained(encoder, pool):
    model = VideoClassifier(encoder, 5, pool=pool)
    torch.nn.functional.cross_entropy(model(CLIPS), torch.tensor([0, 4])).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_tokens_are_read_after_the_norm_where_they_are_not_averaged():
    encoder = _vit()
    model = VideoClassifier(encoder, 5, pool="first")
    assert torch.equal(model.pooled(CLIPS), encoder(CLIPS)[:, 0])
    with_token = _vit(True)
    assert torch.equal(VideoClassifier(with_token, 5, pool="cls").pooled(CLIPS), with_token.tokens(CLIPS).cls_BD)


def test_head_starts_near_zero():
    torch.manual_seed(0)
    encoder = VideoViT(16, 8, 2, 2, 96, 1, 2)
    head = VideoClassifier(encoder, 400, init_scale=0.5).head
    assert float(head.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    assert not head.bias.any()


def test_layers_go_from_the_embedding_to_the_head():
    model = VideoClassifier(_vit(True), 5)
    found = {name: model.layer_of(name) for name, _ in model.named_parameters()}
    assert found["encoder.cls_token"] == found["encoder.patch_embed.proj.weight"] == 0
    assert (found["encoder.blocks.0.norm1.bias"], found["encoder.blocks.2.attn.q_bias"]) == (1, 3)
    assert found["fc_norm.weight"] == found["head.bias"] == model.last_layer == 4
    groups = finetuning_groups(_timesformer(), 0.1, 0.5, _timesformer().layer_of, 4)
    tables = {"cls_token", "pos_embed", "time_embed"}
    assert tables <= set(groups[0]["names"])
    assert (groups[0]["weight_decay"], groups[0]["lr_scale"], groups[-1]["lr_scale"]) == (0, 0.0625, 1)
    assert adamw(groups, 1e-3, betas=(0.9, 0.999)).defaults["betas"] == (0.9, 0.999)


@pytest.mark.parametrize("name", ["videomae_ft_module_fp16", "videomaev2_ft_module_fp16"])
def test_logits_of_finetuned_files(golden, name):
    values = torch.load(golden / f"feat_{name}.pt", weights_only=True)
    config = values["config"]
    encoder, report = load_encoder(
        golden / values["checkpoint"], family=values["family"], heads=config["heads"], frames=config["frames"],
        image_size=config["img"], head="require",
    )  # fmt: skip
    model = VideoClassifier.of_file(encoder, report.head).eval()
    clips = clips_of(values["video_u8"], "cpu")
    with torch.no_grad():
        assert torch.allclose(model.pooled(clips), values["pooled_mean_fcnorm"], atol=1e-4)
        assert torch.allclose(model(clips), values["logits"], atol=1e-4)


def test_mistakes_are_told():
    with pytest.raises(UserError, match="without a class token"):
        VideoClassifier(_vit(), 5, pool="cls")(CLIPS)
    with pytest.raises(UserError, match="0 classes"):
        VideoClassifier(_vit(), 0)
    with pytest.raises(UserError, match="dropout 1"):
        VideoClassifier(_vit(), 5, dropout=1)

    class Bare(torch.nn.Module):
        spec = replace(_vit().spec, has_norm=True)

    with pytest.raises(UserError, match="name that module `norm`"):
        VideoClassifier(Bare(), 5)
    with pytest.raises(UserError, match="Bare has none; set the layer decay to 1"):
        VideoClassifier(Bare(), 5, pool="cls").layer_of("encoder.weight")


def test_logits_are_single_precision_whatever_the_arithmetic_before():
    model = VideoClassifier(_vit(), 5).eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits, pooled = model(CLIPS), model.pooled(CLIPS)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, torch.nn.functional.linear(pooled.float(), model.head.weight, model.head.bias))
