# Copyright 2026 The gem-ecg authors. Licensed under the Apache License, Version 2.0.
"""PyTorch GEM: an ECG tower and an image tower whose tokens reach a causal language model through one projector."""

from dataclasses import dataclass, fields

import torch
from torch import nn
from transformers import AutoModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.image_processing_utils import select_best_resolution
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    BaseModelOutputWithPooling,
    CausalLMOutputWithPast,
)
from transformers.processing_utils import Unpack
from transformers.utils import (
    TransformersKwargs,
    can_return_tuple,
    is_torchdynamo_compiling,
    logging,
    torch_compilable_check,
)
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import maybe_install_capturing_hooks

from .configuration_gem import GemConfig, GemEcgConfig
from .ecg_tower import GemEcgModel
from .generation_gem import GemGenerationMixin
from .pretrained_gem import GemPreTrainedModel, is_sharded, runs_distributed
from .transformers_compat import only_hidden_state, slice_logits_to_keep


@dataclass
class GemModelOutputWithPast(BaseModelOutputWithPast):
    r"""
    ecg_outputs, image_outputs (`BaseModelOutputWithPooling`, *optional*):
        What `get_ecg_features` and `get_image_features` gave: `pooler_output` lists the projected tokens of each ECG and
        picture of the batch, in the order of their placeholders. `None` if there were none.
    """

    ecg_outputs: BaseModelOutputWithPooling | None = None
    image_outputs: BaseModelOutputWithPooling | None = None


@dataclass
class GemCausalLMOutputWithPast(CausalLMOutputWithPast):
    r"""
    loss (`torch.Tensor` of shape `(1,)`, *optional*, returned when `labels` is given):
        Next-token cross entropy.
    logits (`torch.Tensor` of shape `(batch_size, sequence_length, vocab_size)`):
        Prediction scores before the softmax.
    ecg_outputs, image_outputs (`BaseModelOutputWithPooling`, *optional*):
        As in `GemModelOutputWithPast`.
    """

    ecg_outputs: BaseModelOutputWithPooling | None = None
    image_outputs: BaseModelOutputWithPooling | None = None


NOTICED_WITHOUT_ECG = 20  # steps of training without an ECG after which a warning is given
TRAINERS = "`GemSFTTrainer`, `GemGRPOTrainer` or `GemDataCollator` of `recipes.training`"
logger = logging.get_logger(__name__)

# Of every language model's output; its cache is called `past_key_values` up to Transformers 5.23 and `cache` from 5.24 on,
# which is why models here take it, and hand it on, among the keyword arguments.
BODY_OUTPUTS = {field.name for field in fields(BaseModelOutputWithPast)}


class GemProjector(nn.Module):
    """`linear`, or `mlp2x_gelu`: two layers with an activation between them."""

    def __init__(self, projector_type: str, in_features: int, out_features: int, hidden_act: str):
        super().__init__()
        self.linear_1 = nn.Linear(in_features, out_features)
        self.act = ACT2FN[hidden_act]
        self.linear_2 = nn.Linear(out_features, out_features) if projector_type == "mlp2x_gelu" else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = self.linear_1(features)
        return features if self.linear_2 is None else self.linear_2(self.act(features))


class GemModel(GemPreTrainedModel):
    r"""The towers, the projectors and the body of the language model, without its head."""

    _keys_to_ignore_on_load_unexpected = [r"lm_head"]

    def __init__(self, config: GemConfig):
        super().__init__(config)
        unused_blocks = config.cut_vision_config()
        vision, ecg, text = config.vision_config, config.ecg_config, config.text_config
        self.vision_tower = AutoModel.from_config(vision)
        self._keys_to_ignore_on_load_unexpected = [
            *self._keys_to_ignore_on_load_unexpected,
            *block_patterns(self.vision_tower, unused_blocks),
        ]
        # At the first call it would be too late for `torch.compile`: the lock around it breaks the graph.
        maybe_install_capturing_hooks(self.vision_tower)
        self.ecg_tower = (
            GemEcgModel._from_config(ecg) if ecg.model_type == GemEcgConfig.model_type else AutoModel.from_config(ecg)
        )
        act = config.projector_hidden_act
        self.ecg_projector = GemProjector(config.ecg_projector_type, ecg.hidden_size, vision.hidden_size, act)
        self.multi_modal_projector = GemProjector(config.projector_type, vision.hidden_size, text.hidden_size, act)
        self.image_newline = (
            nn.Parameter(torch.empty(text.hidden_size)) if config.image_merge_type == "spatial_unpad" else None
        )
        self.language_model = self.build_language_model()
        self._steps_without_ecg: int | None = 0  # of training; None from the first step with one on
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if module is self and self.image_newline is not None:
            init.normal_(self.image_newline, std=self.config.text_config.hidden_size**-0.5)

    def build_language_model(self) -> nn.Module:
        """The body. Engines that bring one of their own override this."""
        return AutoModel.from_config(self.config.text_config)

    @can_return_tuple
    def get_ecg_features(
        self, ecg_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]
    ) -> tuple | BaseModelOutputWithPooling:
        r"""
        ecg_values (`torch.Tensor` of shape `(num_ecgs, num_leads, seq_length)`):
            Signals in mV.

        Returns an output whose `pooler_output` lists the projected tokens of each ECG, `(num_tokens, text hidden_size)`.

        Raises:
            ValueError: `ecg_values` has another number of leads or samples.
        """
        outputs = self.ecg_tower(ecg_values, return_dict=True, **kwargs)
        features = self.multi_modal_projector(self.ecg_projector(outputs.last_hidden_state))
        outputs.pooler_output = list(features)
        return outputs

    @merge_with_config_defaults
    @can_return_tuple
    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        image_sizes: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | BaseModelOutputWithPooling:
        r"""
        pixel_values (`torch.Tensor` of shape `(num_images, 3, height, width)` or `(num_images, tiles, 3, height, width)`):
            Pictures; with tiles, the first one is the whole picture and surplus ones are padding.
        image_sizes (`torch.Tensor` of shape `(num_images, 2)`, *optional*):
            Original `(height, width)` of each picture; needed with tiles.

        Returns an output whose `pooler_output` lists the projected tokens of each picture, `(num_tokens, text hidden_size)`.

        Raises:
            ValueError: Pictures are cut into tiles, but `image_sizes` or the config's `image_grid_pinpoints` are missing.
        """
        tiles_per_image = None
        if pixel_values.dim() == 5:
            if image_sizes is None or not self.config.image_grid_pinpoints:
                raise ValueError("Tiled `pixel_values` need `image_sizes` and a config with `image_grid_pinpoints`.")
            grids = [self._tile_grid(size) for size in image_sizes.tolist()]
            tiles_per_image = [1 + rows * columns for rows, columns in grids]
            pixel_values = torch.cat([image[:n] for image, n in zip(pixel_values, tiles_per_image, strict=True)])

        last = self.config.vision_feature_layer % (self.config.vision_config.num_hidden_layers + 1)
        if kwargs.get("output_hidden_states") is not True:  # a list would be of the language model's states
            kwargs["output_hidden_states"] = only_hidden_state(last)
        outputs = self.vision_tower(pixel_values.to(self.vision_tower.dtype), return_dict=True, **kwargs)
        features = outputs.hidden_states[last]
        if self.config.vision_feature_select_strategy == "default":
            features = features[:, self.config.num_class_tokens :]
        features = self.multi_modal_projector(features)

        if tiles_per_image is None:
            outputs.pooler_output = list(features)
        else:
            per_image = features.split(tiles_per_image)
            if self.config.image_merge_type == "flat":
                outputs.pooler_output = [tiles.flatten(0, 1) for tiles in per_image]
            else:
                outputs.pooler_output = [
                    self._unpadded_grid(tiles, grid, size)
                    for tiles, grid, size in zip(per_image, grids, image_sizes.tolist(), strict=True)
                ]
        return outputs

    def _tile_grid(self, image_size: list[int]) -> tuple[int, int]:
        """Rows and columns of tiles behind the overview tile."""
        height, width = select_best_resolution(image_size, self.config.image_grid_pinpoints)
        tile = self.config.vision_config.image_size
        return height // tile, width // tile

    def _unpadded_grid(self, tiles: torch.Tensor, grid: tuple[int, int], image_size: list[int]) -> torch.Tensor:
        """Overview tokens, then the tokens of the joined tiles without padding, `image_newline` at each row's end."""
        (rows, columns), side = grid, int(tiles.shape[1] ** 0.5)
        joined = tiles[1:].view(rows, columns, side, side, -1).permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1)
        top, left = letterbox(image_size, joined.shape[:2])
        joined = joined[top : joined.shape[0] - top, left : joined.shape[1] - left]
        newline = self.image_newline.to(joined.dtype).expand(joined.shape[0], 1, -1)
        return torch.cat([tiles[0], torch.cat([joined, newline], dim=1).flatten(0, 1)])

    def _waits_for_towers(self, num_tokens: int) -> bool:
        """
        Whether other processes wait for the towers even if this one has nothing to show them: the gradients of DDP in
        training, the weights of FSDP2 and DeepSpeed ZeRO-3 in every pass over a prompt.
        """
        if not runs_distributed():
            return False
        return self.training or (num_tokens > 1 and is_sharded(self.ecg_tower))

    def _absent_modality(self, modality: str) -> torch.Tensor:
        """Zero, computed by a tower on zeros and everything behind it that is trained."""
        if modality == "ecg":
            ecg = self.config.ecg_config
            zeros = torch.zeros(1, ecg.num_leads, ecg.seq_length, device=self.device)
            return 0 * torch.cat(self.get_ecg_features(zeros, return_dict=True).pooler_output).sum()
        vision = self.config.vision_config
        zeros = torch.zeros(1, vision.num_channels, vision.image_size, vision.image_size, device=self.device)
        # One picture without tiles, whatever the layout: the projected tokens of the overview.
        result = 0 * torch.cat(self.get_image_features(zeros, return_dict=True).pooler_output).sum()
        return result if self.image_newline is None else result + 0 * self.image_newline.sum()

    def placeholder_mask(
        self, modality: str, input_ids: torch.LongTensor | None, inputs_embeds: torch.Tensor | None = None
    ) -> torch.BoolTensor:
        """
        Which positions are placeholders of `"ecg"` or `"image"`: bool `(batch_size, sequence_length)`. Without `input_ids` they are
        the positions of `inputs_embeds` that hold the placeholder's own embedding.

        Raises:
            ValueError: The placeholder has no embedding to look for.
        """
        token_id = getattr(self.config, f"{modality}_token_id")
        if input_ids is not None:
            return input_ids == token_id
        if token_id >= self.config.text_config.vocab_size:
            raise ValueError(
                f"The {modality} placeholder (id {token_id}) lies outside of the embedding table, so it cannot be found in "
                "`inputs_embeds`: give `input_ids`, or give it a row with `model.resize_token_embeddings`."
            )
        token = torch.full((), token_id, dtype=torch.long, device=inputs_embeds.device)
        return (inputs_embeds == self.get_input_embeddings()(token)).all(-1)

    def check_placeholders(self, modality: str, mask: torch.BoolTensor, num_features: int) -> None:
        """
        Checks that the prompts hold as many placeholders, `mask` (batch_size, sequence_length), as there are features.

        Raises:
            ValueError: Their numbers differ.
        """
        num_tokens = mask.sum()
        torch_compilable_check(
            num_tokens == num_features,
            lambda: (
                f"The prompt holds {int(num_tokens)} {modality} placeholder tokens (id "
                f"{getattr(self.config, f'{modality}_token_id')}), but the {modality} input gives {num_features}. Let "
                f"`GemProcessor` expand one placeholder per {modality}; to train, use {TRAINERS}."
            ),
        )

    def _notice_blind_training(self, has_ecg: bool) -> None:
        """Trainers that do not know ECGs drop them from their batches silently, and train on."""
        if (
            is_torchdynamo_compiling()
            or not (self.training and torch.is_grad_enabled())
            or self._steps_without_ecg is None
        ):
            return
        self._steps_without_ecg = None if has_ecg else self._steps_without_ecg + 1
        if self._steps_without_ecg == NOTICED_WITHOUT_ECG:
            logger.warning(
                f"{NOTICED_WITHOUT_ECG} training steps, and not one ECG reached the model. Trainers of TRL drop a column `ecg`; "
                f"{TRAINERS} keep it. With pictures alone this is as it should be."
            )

    def _check_nothing_lost(
        self, modality: str, input_ids: torch.LongTensor | None, inputs_embeds: torch.Tensor
    ) -> None:
        """A prompt with placeholders for which nothing came would read as if it had been answered from the ECG."""
        in_table = getattr(self.config, f"{modality}_token_id") < self.config.text_config.vocab_size
        if inputs_embeds.shape[1] > 1 and (input_ids is not None or in_table) and not is_torchdynamo_compiling():
            self.check_placeholders(modality, self.placeholder_mask(modality, input_ids, inputs_embeds), 0)

    def _embed(self, input_ids: torch.LongTensor) -> torch.Tensor:
        # Placeholders are overwritten later and may lie outside of the table (as in PaliGemma).
        is_placeholder = (input_ids == self.config.ecg_token_id) | (input_ids == self.config.image_token_id)
        return self.get_input_embeddings()(input_ids.masked_fill(is_placeholder, 0))

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        ecg_values: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | GemModelOutputWithPast:
        r"""
        ecg_values (`torch.Tensor` of shape `(num_ecgs, num_leads, seq_length)`, *optional*):
            Signals in mV of all samples of the batch, in the order of their placeholders.
        pixel_values, image_sizes (`torch.Tensor`, *optional*):
            Pictures of all samples of the batch, in the order of their placeholders; see `get_image_features`.
        inputs_embeds (`torch.Tensor` of shape `(batch_size, sequence_length, hidden_size)`, *optional*):
            In place of `input_ids`; placeholders are found by their embeddings, and their features put there.
        mm_encoder_outputs (`dict`, *optional*):
            Outputs of `get_ecg_features` (key `"ecg"`) and `get_image_features` (key `"image"`), to skip the towers.
            `None` under a key says that its placeholders stay without features on purpose.

        Raises:
            ValueError: Both or neither of `input_ids` and `inputs_embeds` are given, or placeholders and features differ in number.
        """
        if (input_ids is None) ^ (inputs_embeds is not None):
            raise ValueError("Give exactly one of `input_ids` and `inputs_embeds`.")
        encoded = dict(mm_encoder_outputs or {})
        asked = {name: True for name in ("output_attentions", "output_hidden_states") if kwargs.get(name) is True}
        # The ECG tower first, on every process: sharded towers meet the others' collectives in this order.
        waits_for_towers = self._waits_for_towers((inputs_embeds if input_ids is None else input_ids).shape[1])
        absent: torch.Tensor | int = 0
        if ecg_values is not None:
            encoded["ecg"] = self.get_ecg_features(ecg_values, return_dict=True, **asked)
        elif waits_for_towers and "ecg" not in encoded:
            absent = absent + self._absent_modality("ecg")
        if pixel_values is not None:
            encoded["image"] = self.get_image_features(
                pixel_values, image_sizes=image_sizes, return_dict=True, **asked
            )
        elif waits_for_towers and "image" not in encoded:
            absent = absent + self._absent_modality("image")
        given_embeds = self._embed(input_ids) if inputs_embeds is None else inputs_embeds
        inputs_embeds = given_embeds
        for modality in ("image", "ecg"):
            if encoded.get(modality) is not None:
                features = torch.cat(list(encoded[modality].pooler_output))
                mask = self.placeholder_mask(modality, input_ids, given_embeds)
                self.check_placeholders(modality, mask, features.shape[0])
                inputs_embeds = inputs_embeds.masked_scatter(
                    mask.unsqueeze(-1), features.to(inputs_embeds.device, inputs_embeds.dtype)
                )
            elif modality not in encoded:
                self._check_nothing_lost(modality, input_ids, given_embeds)
        if torch.is_tensor(absent):
            inputs_embeds = inputs_embeds + absent.to(inputs_embeds.dtype)
        self._notice_blind_training("ecg" in encoded)

        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return GemModelOutputWithPast(
            **{name: value for name, value in outputs.items() if name in BODY_OUTPUTS},
            ecg_outputs=encoded.get("ecg"),
            image_outputs=encoded.get("image"),
        )


class GemForConditionalGeneration(GemPreTrainedModel, GemGenerationMixin):
    r"""GEM with its language model head: ECG, picture and text in, text out."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}
    _tp_plan = {"lm_head": "colwise_gather_output"}
    _keys_to_ignore_on_load_unexpected: set[str] | None

    def __init__(self, config: GemConfig):
        super().__init__(config)
        self.model = GemModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()
        # `post_init` took this over from the body, which has no head; here a leftover of the head must raise.
        self._keys_to_ignore_on_load_unexpected = (self._keys_to_ignore_on_load_unexpected or set()) - {"lm_head"}

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head, from hidden states to logits."""
        return self.lm_head

    def get_ecg_features(self, ecg_values: torch.Tensor, **kwargs: Unpack[TransformersKwargs]):
        """See [`GemModel.get_ecg_features`]."""
        return self.model.get_ecg_features(ecg_values, **kwargs)

    def get_image_features(
        self, pixel_values: torch.Tensor, image_sizes: torch.Tensor | None = None, **kwargs: Unpack[TransformersKwargs]
    ):
        """See [`GemModel.get_image_features`]."""
        return self.model.get_image_features(pixel_values, image_sizes=image_sizes, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        ecg_values: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        image_sizes: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.LongTensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> tuple | GemCausalLMOutputWithPast:
        r"""
        labels (`torch.LongTensor` of shape `(batch_size, sequence_length)`, *optional*):
            Next-token targets aligned with `input_ids`; -100 is ignored (placeholders and prompts must be).
        logits_to_keep (`int` or `torch.Tensor`, *optional*, defaults to 0):
            Positions to compute logits for; 0 means all.

        Example:

        ```python
        >>> import modeling_gem
        >>> from transformers import AutoModelForMultimodalLM, AutoProcessor

        >>> model = AutoModelForMultimodalLM.from_pretrained(modeling_gem.default_checkpoint())
        >>> processor = AutoProcessor.from_pretrained(modeling_gem.default_checkpoint())
        >>> chat = [{"role": "user", "content": [{"type": "ecg", "path": "processing/samples/normal.hea"},
        ...                                      {"type": "text", "text": "Interpret this ECG."}]}]
        >>> inputs = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True,
        ...                                        return_tensors="pt")
        >>> answer = model.generate(**inputs, max_new_tokens=20)
        >>> processor.decode(answer[0, inputs["input_ids"].shape[1] :])[:12]
        'Sinus rhythm'

        ```"""
        outputs = self.model(
            input_ids=input_ids,
            ecg_values=ecg_values,
            pixel_values=pixel_values,
            image_sizes=image_sizes,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            mm_encoder_outputs=mm_encoder_outputs,
            return_dict=True,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size, **kwargs
            )
        others = {name: value for name, value in outputs.items() if name != "last_hidden_state"}
        return GemCausalLMOutputWithPast(loss=loss, logits=logits, **others)


def block_patterns(tower: nn.Module, numbers: range) -> list[str]:
    """Patterns of the weights of blocks of an image tower that ends before `numbers`."""
    lists = [
        name.rsplit(".", 1)[-1]
        for name, module in tower.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == tower.config.num_hidden_layers
    ]
    return [rf"vision_tower\..*{name}\.{number}\." for name in lists for number in numbers]


def letterbox(image_size: list[int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Rows above (and below) and columns left (and right) of a picture scaled into the middle of a canvas, all (height, width)."""
    (height, width), (canvas_height, canvas_width) = image_size, canvas
    if width / height > canvas_width / canvas_height:
        return (canvas_height - int(height * (canvas_width / width))) // 2, 0
    return 0, (canvas_width - int(width * (canvas_height / height))) // 2


__all__ = ["GemEcgModel", "GemForConditionalGeneration", "GemModel", "GemPreTrainedModel"]
