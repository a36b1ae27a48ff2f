"""A model as a Hugging Face folder: configuration files, safetensors in BF16; and back."""

import json
import os
import shutil

import torch

from net import Nano, Shape, published
from to_gguf import load_safetensors
from tok import Tok

TEMPLATE = """{#- parts of a message stand on lines of their own -#}
{{- bos_token -}}
{%- for m in messages -%}
{%- set who = {'assistant': 'model', 'developer': 'system'}.get(m.role, m.role) -%}
{{- '<|turn>' + who + '\\n' -}}
{%- if m.content is string -%}{{- m.content | trim -}}
{%- else -%}
{%- for p in m.content -%}
{{- '' if loop.first else '\\n' -}}
{%- if p.type == 'text' -%}{{- p.text | trim -}}
{%- elif p.type in ('image', 'image_url') -%}{{- '<|image|>' -}}
{%- elif p.type in ('audio', 'input_audio') -%}{{- '<|audio|>' -}}
{%- else -%}{{- '<|video|>' -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<turn|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|turn>model\\n<|channel>thought\\n<channel|>' -}}{%- endif -%}
"""
STOPS = ("<eos>", "<turn|>", "<|tool_response>")
MEDIA = dict(
    boi_token_id="<|image>",
    eoi_token_id="<image|>",
    image_token_id="<|image|>",
    video_token_id="<|video|>",
    boa_token_id="<|audio>",
    eoa_token_index="<audio|>",
    audio_token_id="<|audio|>",
)
NAMED = dict(bos="<bos>", eos="<eos>", pad="<pad>", unk="<unk>", mask="<mask>")
BUDGET, CONTEXT = 70, 8192


def text_config(s, vocab):
    kinds = ["full_attention" if s.far(i) else "sliding_attention" for i in range(s.layers)]
    far = dict(rope_type="proportional", partial_rotary_factor=s.turning, rope_theta=s.far_theta)
    near = dict(rope_type="default", rope_theta=s.theta)
    sizes = dict(
        vocab_size=s.vocab,
        hidden_size=s.hidden,
        intermediate_size=s.inner,
        num_hidden_layers=s.layers,
        num_attention_heads=s.heads,
        num_key_value_heads=s.kv_heads,
        num_global_key_value_heads=s.far_kv_heads,
        head_dim=s.head,
        global_head_dim=s.far_head,
        sliding_window=s.window,
        max_position_embeddings=CONTEXT,
        vocab_size_per_layer_input=s.vocab,
        hidden_size_per_layer_input=0,
        num_kv_shared_layers=0,
    )
    switches = dict(
        attention_k_eq_v=True,
        attention_bias=False,
        attention_dropout=0.0,
        use_double_wide_mlp=False,
        enable_moe_block=False,
        num_experts=None,
        top_k_experts=None,
        moe_intermediate_size=None,
        hidden_activation="gelu_pytorch_tanh",
        use_bidirectional_attention="vision",
        tie_word_embeddings=True,
        use_cache=True,
        initializer_range=0.02,
        rms_norm_eps=s.eps,
        final_logit_softcapping=s.cap,
    )
    ids = {f"{k}_token_id": vocab[NAMED[k]] for k in ("pad", "bos", "eos")}
    ropes = dict(full_attention=far, sliding_attention=near)
    head = dict(model_type="gemma4_unified_text", dtype="bfloat16")
    return head | sizes | switches | dict(layer_types=kinds, rope_parameters=ropes) | ids


def config(s, vocab):
    seen = dict(model_type="gemma4_unified_vision", patch_size=16, pooling_kernel_size=3)
    seen |= dict(model_patch_size=48, mm_embed_dim=s.seen, mm_posemb_size=s.positions)
    seen |= dict(num_soft_tokens=BUDGET, output_proj_dims=s.seen, rms_norm_eps=s.eps)
    heard = dict(model_type="gemma4_unified_audio", hidden_size=s.frame, audio_embed_dim=s.frame)
    heard |= dict(audio_samples_per_token=s.frame, output_proj_dims=s.frame, rms_norm_eps=s.eps)
    return dict(
        architectures=["Gemma4UnifiedForConditionalGeneration"],
        model_type="gemma4_unified",
        dtype="bfloat16",
        tie_word_embeddings=True,
        initializer_range=0.02,
        eos_token_id=[vocab[t] for t in STOPS],
        **{k: vocab[t] for k, t in MEDIA.items()},
        text_config=text_config(s, vocab),
        vision_config=seen,
        audio_config=heard,
    )


def write_safetensors(path, tensors):
    head, blobs, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, t in sorted(tensors.items()):
        bits = t.detach().contiguous().to(torch.bfloat16).view(torch.int16).numpy().tobytes()
        end = at + len(bits)
        head[name] = dict(dtype="BF16", shape=list(t.shape), data_offsets=[at, end])
        blobs.append(bits)
        at = end
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def write_json(path, what):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(what, f, indent=2, ensure_ascii=False)
        f.write("\n")


def write(net, tokenizer, out):
    """net and tokenizer.json -> everything a published folder has that our engine reads"""
    os.makedirs(out, exist_ok=True)
    vocab = Tok.load(tokenizer).vocab
    if len(vocab) != net.shape.vocab:
        raise SystemExit(f"{tokenizer} has {len(vocab)} pieces, the model {net.shape.vocab}")
    write_json(out + "/config.json", config(net.shape, vocab))
    told = {f"{k}_token_id": vocab[NAMED[k]] for k in ("bos", "pad")}
    told |= dict(do_sample=False, eos_token_id=[vocab[t] for t in STOPS])
    told["suppress_tokens"] = [vocab["<audio|>"], vocab["<image|>"]]
    write_json(out + "/generation_config.json", told)
    names = {k + "_token": v for k, v in NAMED.items()}
    write_json(
        out + "/tokenizer_config.json",
        dict(tokenizer_class="PreTrainedTokenizerFast", model_max_length=CONTEXT, **names),
    )
    with open(out + "/chat_template.jinja", "w", encoding="utf-8") as f:
        f.write(TEMPLATE)
    if os.path.abspath(tokenizer) != os.path.abspath(out + "/tokenizer.json"):
        shutil.copyfile(tokenizer, out + "/tokenizer.json")
    write_safetensors(out + "/model.safetensors", published(net))


def read(path):
    """-> net, tokenizer"""
    with open(path + "/config.json", encoding="utf-8") as f:
        c = json.load(f)
    t, far = c["text_config"], c["text_config"]["rope_parameters"]["full_attention"]
    shape = Shape(
        vocab=t["vocab_size"],
        hidden=t["hidden_size"],
        inner=t["intermediate_size"],
        layers=t["num_hidden_layers"],
        heads=t["num_attention_heads"],
        kv_heads=t["num_key_value_heads"],
        head=t["head_dim"],
        far_kv_heads=t["num_global_key_value_heads"],
        far_head=t["global_head_dim"],
        window=t["sliding_window"],
        turning=far["partial_rotary_factor"],
        seen=c["vision_config"]["mm_embed_dim"],
        positions=c["vision_config"]["mm_posemb_size"],
    )
    net, bits = Nano(shape), load_safetensors(path + "/model.safetensors")
    with torch.no_grad():
        for name, p in published(net).items():
            p.copy_(torch.from_numpy(bits[name].view("<i2").copy()).view(torch.bfloat16).float())
    return net, Tok.load(path + "/tokenizer.json")
