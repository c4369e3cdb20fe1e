"""The arithmetic of costs against torch's own count on models without memory."""

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from sigma_bench.contracts import UserError
from sigma_bench.models.flops import clip_flops, gpu_hours, image_flops, image_vit
from sigma_bench.models.masked import masked_model
from sigma_bench.pretrain.masking import masked_per_slice
from sigma_bench.pretrain.projector import MlpProjector
from sigma_bench.spec import load
from sigma_bench.spec.recipe_target import MlpTarget, TeacherTarget


def counted(recipe, batch: int = 2) -> float:
    """Return the operations a clip that torch counts in forward and backward pass of the parts of the objective."""
    m, target, clustering = recipe.model, recipe.target, recipe.clustering
    slices, height, width = m.grid
    hidden = masked_per_slice(height * width, recipe.mask.ratio)
    slot = torch.arange(height * width) < hidden
    mask = slot.repeat(slices).expand(batch, -1)
    tube = m.tubelet * m.patch**2 * 3
    with torch.device("meta"):
        head = MlpProjector(tube, target.widths, target.dim) if isinstance(target, MlpTarget) else None
        vit = None
        if isinstance(target, TeacherTarget):
            vit = timm.create_model(target.model, img_size=m.image_size, num_classes=0).requires_grad_(False)
        out = target.dim if head else vit.embed_dim if vit else tube
        shape = {"image_size": m.image_size, "frames": m.frames, "tubelet": m.tubelet, "patch": m.patch}
        model = masked_model(m.size, out_dim=out, decoder_depth=m.decoder_depth, **shape).to("meta")
        clips = torch.empty(batch, 3, m.frames, m.image_size, m.image_size)
        prototypes = nn.Parameter(torch.empty(clustering.prototypes, out)) if clustering else None
        targets = torch.empty(batch, hidden * slices, out if vit else tube)
    with FlopCounterMode(display=False) as counter:
        if vit:
            vit.forward_features(clips[:, :, :: m.tubelet].transpose(1, 2).flatten(0, 1))
        decoded = model(clips, mask)
        projected = head(targets) if head else targets
        loss = F.mse_loss(decoded, projected)
        if prototypes is not None:
            loss = (projected @ prototypes.t()).sum() + (decoded @ prototypes.detach().t()).sum()
        loss.backward()
    return counter.get_total_flops() / batch


@pytest.mark.parametrize("size", ["nano", "small", "base"])
@pytest.mark.parametrize("name", ["sigma_mlp", "videomae", "sigma_l2", "sigma_dino"])
def test_formulas_equal_what_torch_counts(name, size):
    recipe = load.recipe(name, data="k400", size=size)
    assert clip_flops(recipe).total == pytest.approx(counted(recipe), rel=2e-3)


def test_parts_of_the_base_model():
    mlp, dino = (clip_flops(load.recipe(name)) for name in ("sigma_mlp", "sigma_dino"))
    pixels = clip_flops(load.recipe("videomae"))
    assert (pixels.projection, pixels.scores, pixels.teacher) == (0, 0, 0)
    assert mlp.encoder == dino.encoder == pixels.encoder
    assert (mlp.teacher, dino.projection) == (0, 0)
    assert 230e9 < mlp.total < 250e9
    assert 500e9 < dino.total < 520e9
    assert dino.teacher == 8 * image_flops(image_vit("vit_base_patch16_224.dino"), 224)


def test_the_mask_of_mgmae_leaves_fewer_tokens():
    usual, compat = (clip_flops(load.recipe("sigma_mlp_motion", profile=p)) for p in ("released", "mgmae_compat"))
    assert compat.projection / usual.projection == pytest.approx(177 / 176)
    assert compat.encoder < usual.encoder


def test_hours():
    assert gpu_hours(0.45 * 790e12, 3600) == pytest.approx(1)


def test_registers_and_other_patches_are_seen():
    vit = image_vit("vit_base_patch14_reg4_dinov2.lvd142m")
    assert (vit.dim, vit.depth, vit.patch, vit.prefix) == (768, 12, 14, 5)


@pytest.mark.parametrize(("name", "said"), [("vit_bas_patch16", "timm has no model"), ("resnet18", "is a ResNet")])
def test_what_is_no_vit_is_refused(name, said):
    with pytest.raises(UserError, match=said):
        image_vit(name)
