# SPDX-License-Identifier: Apache-2.0
"""Application models of transformers, made small: one row a model, its class, its config, its inputs and the outputs that are compared.

A config is a function of the module `transformers`, called when the row's turn comes. Inputs are shapes (noise, as pictures are after normalisation), or
what tokens(), mask() and constant() describe. Random weights, sizes of a few tokens: what is tried is the graph.
"""
import torch


class Row:
    """make: what is done with the model before it gets its weights. gains: {part of a layer's name: how much larger its outputs are than its inputs}.
    settle: running statistics are measured; not where rounding would grow by it until PyTorch's float32 and double differ."""

    def __init__(self, cls, config, inputs, outputs, make=None, gains=None, settle=True):
        self.cls, self.config, self.inputs, self.outputs = cls, config, inputs, outputs.split()
        self.make, self.gains, self.settle = make or (lambda model: model), gains or {}, settle


def image(height, width, batch=1, channels=3):
    return lambda g: torch.randn(batch, channels, height, width, generator=g)


def video(frames, side):
    return lambda g: torch.randn(1, frames, 3, side, side, generator=g)


def tokens(batch, length, vocabulary):
    """Numbers from 3 on, which no special token has, and at the end of each row the largest one, where CLIP looks for the sentence's end."""

    def make(g):
        ids = torch.randint(3, vocabulary - 1, (batch, length), generator=g)
        ids[:, -1] = vocabulary - 1
        return ids

    return make


def ones(*shape):
    return lambda g: torch.ones(shape, dtype=torch.long)


def zeros(*shape):
    return lambda g: torch.zeros(shape, dtype=torch.long)


def boxes(batch, length):
    """Upper left and lower right corners in 0..1000"""

    def make(g):
        corner = torch.randint(0, 500, (batch, length, 2), generator=g)
        return torch.cat([corner, corner + torch.randint(1, 400, (batch, length, 2), generator=g)], -1)

    return make


PICTURE = dict(pixel_values=image(64, 96))
SQUARE = dict(pixel_values=image(64, 64))
VIT = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
DETECTOR = dict(d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64,
                decoder_ffn_dim=64)
TEXT = dict(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, max_position_embeddings=40)
BOXES = "logits pred_boxes"
MASKS = "class_queries_logits masks_queries_logits"
TOWERS = "logits_per_image text_embeds image_embeds"


def resnet(t, stages=("stage4",)):
    return t.ResNetConfig(embedding_size=16, hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 1, 1], layer_type="basic", out_features=list(stages))


def swin(t, stages=("stage1", "stage2", "stage3", "stage4"), **more):
    return t.SwinConfig(image_size=64, embed_dim=16, depths=[2, 2, 1, 1], num_heads=[1, 2, 2, 4], window_size=4, out_features=list(stages), **more)


def convnext(t):
    return t.ConvNextConfig(hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 2, 1], out_features=["stage1", "stage2", "stage3", "stage4"])


def dinov2(t, stages=("stage1", "stage2", "stage3", "stage4")):
    return t.Dinov2Config(hidden_size=32, num_hidden_layers=4, num_attention_heads=4, mlp_ratio=2, image_size=56, patch_size=14,
                          reshape_hidden_states=False, out_features=list(stages), apply_layernorm=True)


def detr(cls, **more):
    return lambda t: getattr(t, cls)(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=resnet(t),
                                     num_queries=12, **DETECTOR, **more)


def deformable(t):
    return t.DeformableDetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
                                  backbone_config=resnet(t, ("stage2", "stage3", "stage4")), num_queries=12, num_feature_levels=4, **DETECTOR)


def rt_detr(cls, **more):
    def make(t):
        backbone = t.RTDetrResNetConfig(embedding_size=16, hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 1, 1], layer_type="basic",
                                        out_features=["stage2", "stage3", "stage4"])
        return getattr(t, cls)(backbone_config=backbone, encoder_hidden_dim=32, d_model=32, encoder_in_channels=[24, 32, 48], encoder_ffn_dim=64,
                               encoder_attention_heads=4, decoder_in_channels=[32, 32, 32], decoder_ffn_dim=64, decoder_layers=2,
                               decoder_attention_heads=4, num_queries=20, num_denoising=0, num_labels=12, **more)

    return make


def d_fine(t):
    backbone = t.HGNetV2Config(stem_channels=[3, 8, 8], hidden_sizes=[16, 24, 32, 48], stage_in_channels=[8, 16, 24, 32], stage_mid_channels=[8, 8, 8, 16],
                               stage_out_channels=[16, 24, 32, 48], stage_num_blocks=[1, 1, 1, 1], stage_numb_of_layers=[2, 2, 2, 2],
                               out_features=["stage2", "stage3", "stage4"])
    return t.DFineConfig(backbone_config=backbone, encoder_hidden_dim=32, d_model=32, encoder_in_channels=[24, 32, 48], encoder_ffn_dim=64,
                         encoder_attention_heads=4, decoder_in_channels=[32, 32, 32], decoder_ffn_dim=64, decoder_layers=2,
                         decoder_attention_heads=4, num_queries=20, num_denoising=0, num_labels=12)


def towers(config, text, vision, **more):
    def make(t):
        return getattr(t, config)(text_config=dict(TEXT, **text), vision_config=dict(VIT, image_size=32, patch_size=8, **vision), **more)

    return make


def pair(length=7, batch=2, mask=True):
    inputs = dict(input_ids=tokens(batch, length, 99), pixel_values=image(32, 32))
    return dict(inputs, attention_mask=ones(batch, length)) if mask else inputs


def mask2former(t):
    return t.Mask2FormerConfig(backbone_config=swin(t), feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=64,
                               encoder_layers=2, decoder_layers=2, num_attention_heads=4, dim_feedforward=64, num_queries=12, num_labels=9,
                               use_timm_backbone=False, backbone=None)


def maskformer(t):
    decoder = t.DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=resnet(t), num_queries=12, **DETECTOR)
    return t.MaskFormerConfig(backbone_config=swin(t), decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, num_labels=9)


def oneformer(t):
    return t.OneFormerConfig(backbone_config=swin(t), num_queries=12, hidden_dim=32, mask_dim=32, conv_dim=32, encoder_feedforward_dim=64,
                             dim_feedforward=64, encoder_layers=2, decoder_layers=3, num_attention_heads=4, num_labels=9, text_encoder_width=32,
                             text_encoder_context_length=12, text_encoder_num_layers=2, text_encoder_vocab_size=99, text_encoder_proj_layers=1,
                             query_dec_layers=1, task_seq_len=12, is_training=False, use_timm_backbone=False, backbone=None)


def zoe(t):
    backbone = t.BeitConfig(**dict(VIT, num_hidden_layers=4), image_size=64, patch_size=16, reshape_hidden_states=False,
                            out_features=["stage1", "stage2", "stage3", "stage4"], use_relative_position_bias=True)
    return t.ZoeDepthConfig(backbone_config=backbone, backbone_hidden_size=32, neck_hidden_sizes=[16, 24, 32, 48], fusion_hidden_size=32,
                            bottleneck_features=32, num_relative_features=16, bin_embedding_dim=16, num_attractors=[4, 3, 2, 1],
                            bin_configurations=[dict(n_bins=16, min_depth=0.001, max_depth=10.0, name="nyu")])


def blip(t):
    return t.BlipConfig(text_config=dict(TEXT, encoder_hidden_size=32), vision_config=dict(VIT, image_size=32, patch_size=8),
                        projection_dim=24, image_text_hidden_size=24)


def align(t):
    vision = dict(image_size=64, hidden_dim=32, width_coefficient=0.1, depth_coefficient=0.2, num_hidden_layers=4, depthwise_padding=[])
    return t.AlignConfig(text_config=dict(TEXT), vision_config=vision, projection_dim=32)


def encoder(model):
    return model.encoder


class WholePicture(torch.nn.Module):
    """ViLT draws the patches of a picture at random, for pictures of a batch may have different sizes. Of one that is whole it draws all, in some order,
    which no exporter writes. Here they come in order, by the entrance that the model has for pictures that are embedded."""

    def __init__(self, model):
        super().__init__()
        self.as_it_is = model

    def forward(self, pixel_values, **texts):
        parts = self.as_it_is.vilt.embeddings
        patches, side = parts.patch_embeddings(pixel_values), self.as_it_is.config.image_size // self.as_it_is.config.patch_size
        places = parts.position_embeddings[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        places = torch.nn.functional.interpolate(places, size=patches.shape[2:], mode="bilinear", align_corners=True)
        embedded = torch.cat([parts.cls_token + parts.position_embeddings[:, :1], (patches + places).flatten(2).transpose(1, 2)], 1)
        return self.as_it_is(**texts, image_embeds=embedded, pixel_mask=torch.ones(embedded.shape[:2], dtype=torch.long))


BEIT = dict(VIT, num_hidden_layers=4, image_size=64, patch_size=16, num_labels=9, out_indices=[0, 1, 2, 3], use_relative_position_bias=True, pool_scales=(1, 2))
MODELS = {
    # detectors
    "detr": Row("DetrForObjectDetection", detr("DetrConfig"), PICTURE, BOXES),
    "conditional_detr": Row("ConditionalDetrForObjectDetection", detr("ConditionalDetrConfig"), PICTURE, BOXES),
    "table_transformer": Row("TableTransformerForObjectDetection", detr("TableTransformerConfig"), PICTURE, BOXES),
    "deformable_detr": Row("DeformableDetrForObjectDetection", deformable, PICTURE, BOXES),
    "rt_detr": Row("RTDetrForObjectDetection", rt_detr("RTDetrConfig"), SQUARE, BOXES),
    "rt_detr_v2": Row("RTDetrV2ForObjectDetection", rt_detr("RTDetrV2Config"), SQUARE, BOXES),
    "d_fine": Row("DFineForObjectDetection", d_fine, SQUARE, BOXES, settle=False),
    "yolos": Row("YolosForObjectDetection", lambda t: t.YolosConfig(**VIT, image_size=[64, 96], patch_size=16, num_detection_tokens=12), PICTURE, BOXES),
    "owlvit": Row("OwlViTForObjectDetection", towers("OwlViTConfig", {}, {}, projection_dim=32), pair(), BOXES),
    # segmenters
    "segformer": Row("SegformerForSemanticSegmentation",
                     lambda t: t.SegformerConfig(hidden_sizes=[16, 16, 32, 48], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4],
                                                 decoder_hidden_size=32, num_labels=9), PICTURE, "logits"),
    "maskformer": Row("MaskFormerForInstanceSegmentation", maskformer, SQUARE, MASKS),
    "mask2former": Row("Mask2FormerForUniversalSegmentation", mask2former, SQUARE, MASKS),
    "oneformer": Row("OneFormerForUniversalSegmentation", oneformer, dict(SQUARE, task_inputs=tokens(1, 12, 99)), MASKS),
    "eomt": Row("EomtForUniversalSegmentation",
                lambda t: t.EomtConfig(**dict(VIT, num_hidden_layers=3), image_size=64, patch_size=16, num_queries=12, num_blocks=1, mlp_ratio=2,
                                       num_upscale_blocks=1, num_register_tokens=2, num_labels=9), SQUARE, MASKS),
    "upernet_swin": Row("UperNetForSemanticSegmentation",
                        lambda t: t.UperNetConfig(backbone_config=swin(t), hidden_size=32, pool_scales=[1, 2], auxiliary_in_channels=64,
                                                  auxiliary_channels=16, num_labels=9, use_timm_backbone=False, backbone=None), SQUARE, "logits"),
    "upernet_convnext": Row("UperNetForSemanticSegmentation",
                            lambda t: t.UperNetConfig(backbone_config=convnext(t), hidden_size=32, pool_scales=[1, 2], auxiliary_in_channels=32,
                                                      auxiliary_channels=16, num_labels=9, use_timm_backbone=False, backbone=None), PICTURE, "logits"),
    "beit": Row("BeitForSemanticSegmentation", lambda t: t.BeitConfig(**BEIT), SQUARE, "logits"),
    "data2vec": Row("Data2VecVisionForSemanticSegmentation", lambda t: t.Data2VecVisionConfig(**BEIT), SQUARE, "logits"),
    "mobilevit": Row("MobileViTForSemanticSegmentation",
                     lambda t: t.MobileViTConfig(image_size=64, hidden_sizes=[16, 24, 32], num_attention_heads=4, neck_hidden_sizes=[8, 8, 16, 24, 32, 40, 64],
                                                 aspp_out_channels=16, num_labels=9), SQUARE, "logits"),
    "clipseg": Row("CLIPSegForImageSegmentation",
                   towers("CLIPSegConfig", {}, {}, projection_dim=24, reduce_dim=16, extract_layers=[0, 1], decoder_num_attention_heads=4,
                          decoder_intermediate_size=32), pair(batch=1), "logits"),
    "seggpt": Row("SegGptForImageSegmentation",
                  lambda t: t.SegGptConfig(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, mlp_dim=64, image_size=[64, 32], patch_size=8,
                                           pretrain_image_size=32, decoder_hidden_size=16, merge_index=0, intermediate_hidden_state_indices=[0, 1, 2]),
                  dict(pixel_values=image(32, 32), prompt_pixel_values=image(32, 32), prompt_masks=image(32, 32)), "pred_masks"),
    "sam_vision": Row("SamVisionModel",
                      lambda t: t.SamVisionConfig(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=2.0, output_channels=16, image_size=64,
                                                  patch_size=8, window_size=5, global_attn_indexes=[2]), SQUARE, "last_hidden_state"),
    # depth, pose, matting, super-resolution
    "dpt": Row("DPTForDepthEstimation",
               lambda t: t.DPTConfig(**dict(VIT, num_hidden_layers=4), image_size=64, patch_size=16, backbone_out_indices=[0, 1, 2, 3],
                                     neck_hidden_sizes=[16, 24, 32, 48], fusion_hidden_size=32), SQUARE, "predicted_depth"),
    "depth_anything": Row("DepthAnythingForDepthEstimation",
                          lambda t: t.DepthAnythingConfig(backbone_config=dinov2(t), reassemble_hidden_size=32, neck_hidden_sizes=[16, 24, 32, 48],
                                                          fusion_hidden_size=16, head_hidden_size=8), dict(pixel_values=image(56, 84)), "predicted_depth"),
    "glpn": Row("GLPNForDepthEstimation",
                lambda t: t.GLPNConfig(hidden_sizes=[16, 16, 32, 48], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4], decoder_hidden_size=16),
                PICTURE, "predicted_depth"),
    "zoedepth": Row("ZoeDepthForDepthEstimation", zoe, SQUARE, "predicted_depth", gains={"metric_head": 2}),
    "vitpose": Row("VitPoseForPoseEstimation",
                   lambda t: t.VitPoseConfig(backbone_config=t.VitPoseBackboneConfig(image_size=[64, 48], patch_size=[16, 16], hidden_size=32,
                                                                                     num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2,
                                                                                     out_features=["stage2"]), num_labels=17),
                   dict(pixel_values=image(64, 48)), "heatmaps"),
    "vitmatte": Row("VitMatteForImageMatting",
                    lambda t: t.VitMatteConfig(backbone_config=t.VitDetConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_channels=4,
                                                                              image_size=64, pretrain_image_size=64, patch_size=16, mlp_ratio=2, window_size=3,
                                                                              window_block_indices=[0], out_features=["stage2"],
                                                                              use_relative_position_embeddings=True),
                                               hidden_size=32, convstream_hidden_sizes=[8, 16, 24], fusion_hidden_sizes=[32, 24, 16, 8],
                                               use_timm_backbone=False, backbone=None),
                    dict(pixel_values=image(64, 64, channels=4)), "alphas", gains={"matting_head": 6}),
    "swin2sr": Row("Swin2SRForImageSuperResolution",
                   lambda t: t.Swin2SRConfig(image_size=32, embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4, upscale=2),
                   dict(pixel_values=image(32, 24)), "reconstruction"),
    "superpoint": Row("SuperPointForKeypointDetection",
                      lambda t: t.SuperPointConfig(encoder_hidden_sizes=[8, 8, 16, 16], decoder_hidden_size=24, keypoint_decoder_dim=65,
                                                   descriptor_decoder_dim=24, keypoint_threshold=0.017), dict(pixel_values=image(64, 80)),
                      "keypoints scores descriptors mask"),
    # video
    "videomae": Row("VideoMAEForVideoClassification",
                    lambda t: t.VideoMAEConfig(**VIT, image_size=32, patch_size=8, num_frames=4, num_labels=9), dict(pixel_values=video(4, 32)), "logits"),
    "timesformer": Row("TimesformerForVideoClassification",
                       lambda t: t.TimesformerConfig(**VIT, image_size=32, patch_size=8, num_frames=4, num_labels=9), dict(pixel_values=video(4, 32)), "logits"),
    "vivit": Row("VivitForVideoClassification",
                 lambda t: t.VivitConfig(**VIT, image_size=32, num_frames=4, tubelet_size=[2, 8, 8], num_labels=9), dict(pixel_values=video(4, 32)), "logits"),
    # readers
    "trocr_encoder": Row("VisionEncoderDecoderModel",
                         lambda t: t.VisionEncoderDecoderConfig(encoder=dict(t.DeiTConfig(**VIT, image_size=[32, 64], patch_size=8).to_dict()),
                                                                decoder=t.TrOCRConfig(vocab_size=99, d_model=32, decoder_layers=1, decoder_attention_heads=4,
                                                                                      decoder_ffn_dim=64).to_dict()),
                         dict(pixel_values=image(32, 64)), "last_hidden_state", encoder),
    "donut_swin": Row("DonutSwinModel",
                      lambda t: t.DonutSwinConfig(image_size=[64, 96], embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4), PICTURE, "last_hidden_state"),
    "layoutlmv3": Row("LayoutLMv3ForTokenClassification",
                      lambda t: t.LayoutLMv3Config(**dict(TEXT, max_position_embeddings=60), input_size=32, patch_size=8, coordinate_size=6, shape_size=4,
                                                   max_2d_position_embeddings=1024, rel_pos_bins=16, rel_2d_pos_bins=16, num_labels=9),
                      dict(input_ids=tokens(1, 9, 99), bbox=boxes(1, 9), attention_mask=ones(1, 9), pixel_values=image(32, 32)), "logits"),
    "mgp_str": Row("MgpstrForSceneTextRecognition",
                   lambda t: t.MgpstrConfig(**{k: v for k, v in VIT.items() if k != "intermediate_size"}, image_size=[16, 64], max_token_length=9,
                                            num_character_labels=38, num_bpe_labels=60, num_wordpiece_labels=70),
                   dict(pixel_values=image(16, 64)), "logits"),
    "pix2struct": Row("Pix2StructVisionModel",
                      lambda t: t.Pix2StructVisionConfig(hidden_size=32, patch_embed_hidden_size=48, d_ff=64, d_kv=8, num_hidden_layers=2,
                                                         num_attention_heads=4, seq_len=32),
                      dict(flattened_patches=lambda g: torch.cat([torch.arange(12).div(4, rounding_mode="floor")[None, :, None] + 1.0,
                                                                  torch.arange(12).remainder(4)[None, :, None] + 1.0,
                                                                  torch.randn(1, 12, 48, generator=g)], -1)), "last_hidden_state"),
    # both towers, texts beside pictures
    "clip": Row("CLIPModel", towers("CLIPConfig", dict(eos_token_id=98), {}, projection_dim=24), pair(), TOWERS),
    "siglip": Row("SiglipModel", towers("SiglipConfig", dict(max_position_embeddings=7, projection_size=32), {}), pair(mask=False), TOWERS),
    "chinese_clip": Row("ChineseCLIPModel", towers("ChineseCLIPConfig", {}, {}, projection_dim=24), pair(), TOWERS),
    "altclip": Row("AltCLIPModel", towers("AltCLIPConfig", dict(project_dim=24), {}, projection_dim=24), pair(), TOWERS),
    "align": Row("AlignModel", align, dict(pair(), pixel_values=image(64, 64)), TOWERS),
    "blip_retrieval": Row("BlipForImageTextRetrieval", blip, pair(batch=1), "itm_score"),
    "vilt": Row("ViltForQuestionAnswering",
                lambda t: t.ViltConfig(**TEXT, image_size=32, patch_size=8, max_image_length=-1, num_labels=9),
                dict(input_ids=tokens(1, 9, 99), attention_mask=ones(1, 9), token_type_ids=zeros(1, 9), pixel_values=image(32, 48)), "logits", WholePicture),
    # classifiers and backbones of today
    "dinov2_registers": Row("Dinov2WithRegistersForImageClassification",
                            lambda t: t.Dinov2WithRegistersConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=56,
                                                                  patch_size=14, num_register_tokens=3, num_labels=9), dict(pixel_values=image(56, 84)), "logits"),
    "hiera": Row("HieraForImageClassification",
                 lambda t: t.HieraConfig(embed_dim=16, image_size=[64, 64], depths=[1, 2, 2, 1], num_heads=[1, 2, 4, 8], mlp_ratio=2.0, num_labels=9), SQUARE, "logits"),
    "mobilevitv2": Row("MobileViTV2ForImageClassification", lambda t: t.MobileViTV2Config(image_size=64, width_multiplier=0.25, n_attn_blocks=[1, 1, 1], num_labels=9),
                       SQUARE, "logits"),
    "pvt_v2": Row("PvtV2ForImageClassification",
                  lambda t: t.PvtV2Config(image_size=64, hidden_sizes=[16, 16, 32, 48], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 2, 4],
                                          mlp_ratios=[2, 2, 2, 2], num_labels=9), SQUARE, "logits"),
    "cvt": Row("CvtForImageClassification", lambda t: t.CvtConfig(embed_dim=[16, 24, 32], num_heads=[1, 2, 4], depth=[1, 2, 3], num_labels=9), SQUARE, "logits"),
    "focalnet": Row("FocalNetForImageClassification",
                    lambda t: t.FocalNetConfig(image_size=64, embed_dim=16, depths=[1, 1, 2, 1], hidden_sizes=[16, 32, 64, 128], num_labels=9), SQUARE, "logits"),
    "swiftformer": Row("SwiftFormerForImageClassification",
                       lambda t: t.SwiftFormerConfig(image_size=64, depths=[1, 1, 1, 1], embed_dims=[16, 24, 32, 48], mlp_ratio=2, num_labels=9), SQUARE, "logits"),
    "convnextv2": Row("ConvNextV2ForImageClassification",
                      lambda t: t.ConvNextV2Config(hidden_sizes=[16, 24, 32, 48], depths=[1, 1, 2, 1], num_labels=9), PICTURE, "logits"),
    "vitdet": Row("VitDetBackbone",
                  lambda t: t.VitDetConfig(hidden_size=32, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=2, image_size=64, pretrain_image_size=64,
                                           patch_size=8, window_size=3, window_block_indices=[0, 1], use_relative_position_embeddings=True,
                                           out_features=["stage1", "stage3"]), SQUARE, "feature_maps"),
    "levit": Row("LevitForImageClassification",
                 lambda t: t.LevitConfig(image_size=64, hidden_sizes=[16, 32, 48], num_attention_heads=[2, 2, 2], depths=[1, 1, 1], key_dim=[8, 8, 8],
                                         num_labels=9), SQUARE, "logits"),
    "textnet": Row("TextNetForImageClassification",
                   lambda t: t.TextNetConfig(stem_num_channels=3, stem_out_channels=16, hidden_sizes=[16, 16, 24, 32, 48],
                                             conv_layer_kernel_sizes=[[[3, 3]], [[3, 3], [1, 3]], [[3, 3], [3, 1]], [[3, 3]]],
                                             conv_layer_strides=[[1], [2, 1], [2, 1], [2]], num_labels=9), SQUARE, "logits"),
    "ijepa": Row("IJepaForImageClassification", lambda t: t.IJepaConfig(**VIT, image_size=64, patch_size=16, num_labels=9), SQUARE, "logits"),
    "swinv2": Row("Swinv2ForImageClassification",
                  lambda t: t.Swinv2Config(image_size=64, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, num_labels=9), SQUARE, "logits"),
}
