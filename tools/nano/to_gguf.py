#!/usr/bin/env python3
"""Hugging Face folder -> one GGUF file with the text model and the media embedders; checks it
against the folder.

  to_gguf.py FOLDER OUT.gguf [--name nano]      writes, then checks
  to_gguf.py --check FOLDER FILE.gguf           only checks: every tensor and key against the folder

FOLDER holds model.safetensors (BF16), config.json, generation_config.json, tokenizer.json and,
when there is one, chat_template.jinja. Matrices keep the source's very bits as BF16, everything
of one dimension is F32. The published models keep the media embedders in a file of their own,
with the clip.* keys; here both stand in one file, and two keys say what the published models
have fixed: witnessd.media_ids and witnessd.stop_tokens.
"""

import argparse
import json
import os
import re
import sys

import numpy as np

import gguf

PATCH, POOL, FRAME = 16, 3, 640
NORMAL, CONTROL, USER, BYTE = 1, 3, 4, 6  # kinds of a token
BF16_FILE = 32  # general.file_type: mostly BF16
NEVER = 1e30  # divisor of the pairs that do not turn

TEXT = "model.language_model."
LAYER = {
    "input_layernorm.weight": "attn_norm",
    "self_attn.q_proj.weight": "attn_q",
    "self_attn.q_norm.weight": "attn_q_norm",
    "self_attn.k_proj.weight": "attn_k",
    "self_attn.k_norm.weight": "attn_k_norm",
    "self_attn.v_proj.weight": "attn_v",
    "self_attn.o_proj.weight": "attn_output",
    "post_attention_layernorm.weight": "post_attention_norm",
    "pre_feedforward_layernorm.weight": "ffn_norm",
    "mlp.gate_proj.weight": "ffn_gate",
    "mlp.up_proj.weight": "ffn_up",
    "mlp.down_proj.weight": "ffn_down",
    "post_feedforward_layernorm.weight": "post_ffw_norm",
    "layer_scalar": "layer_output_scale",
}
SEEN = "model.vision_embedder."
MEDIA = {
    SEEN + "patch_ln1.weight": "v.patch_norm.1.weight",
    SEEN + "patch_ln1.bias": "v.patch_norm.1.bias",
    SEEN + "patch_dense.weight": "v.patch_embd.weight",
    SEEN + "patch_dense.bias": "v.patch_embd.bias",
    SEEN + "patch_ln2.weight": "v.patch_norm.2.weight",
    SEEN + "patch_ln2.bias": "v.patch_norm.2.bias",
    SEEN + "pos_norm.weight": "v.patch_norm.3.weight",
    SEEN + "pos_norm.bias": "v.patch_norm.3.bias",
    SEEN + "pos_embedding": "v.position_embd.weight",
    "model.embed_vision.embedding_projection.weight": "mm.input_projection.weight",
    "model.embed_audio.embedding_projection.weight": "mm.a.input_projection.weight",
}
BY_PIXEL = (SEEN + "patch_ln1.weight", SEEN + "patch_ln1.bias", SEEN + "patch_dense.weight")


def planar():
    """The folder keeps a patch pixel by pixel (RGBRGB..), GGUF plane by plane (RR..GG..BB..):
    where each column comes from"""
    side = PATCH * POOL
    channel, row, column = np.unravel_index(np.arange(3 * side * side), (3, side, side))
    return (row * side + column) * 3 + channel


# ---------------------------------------------------------------- the folder
def load_json(folder, name):
    with open(f"{folder}/{name}", encoding="utf-8") as f:
        return json.load(f)


def load_safetensors(path):
    """-> {name: the BF16 bits}"""
    with open(path, "rb") as f:
        raw = f.read()
    n = int.from_bytes(raw[:8], "little")
    if n > len(raw) - 8:
        sys.exit(f"{path}: the header of {n} bytes is longer than the file")
    out = {}
    for name, e in json.loads(raw[8 : 8 + n]).items():
        if name == "__metadata__":
            continue
        first, end = e["data_offsets"]
        if e["dtype"] != "BF16" or not 0 <= first <= end <= len(raw) - 8 - n:
            sys.exit(
                f"{path}: {name}: {e['dtype']} at {first} to {end}; wanted is BF16 inside the file"
            )
        out[name] = np.frombuffer(raw[8 + n + first : 8 + n + end], "<u2").reshape(e["shape"])
    return out


def gguf_name(name):
    """name in the folder -> name in the file"""
    if name in MEDIA:
        return MEDIA[name]
    m = re.fullmatch(re.escape(TEXT) + r"layers\.(\d+)\.(.+)", name)
    if m and m[2] in LAYER:
        return f"blk.{m[1]}.{LAYER[m[2]]}.weight"
    fixed = {
        TEXT + "embed_tokens.weight": "token_embd.weight",
        TEXT + "norm.weight": "output_norm.weight",
    }
    if name not in fixed:
        sys.exit(f"{name}: a tensor this architecture does not have")
    return fixed[name]


def tensors(folder, config):
    """-> [(name, type, numbers as stored)] in the order of the file"""
    source, out, order = load_safetensors(folder + "/model.safetensors"), [], planar()

    def place(name):
        m = re.search(r"layers\.(\d+)\.(.+)", name)
        if m:
            return 1, int(m[1]), list(LAYER).index(m[2])
        return (
            (3, 0, list(MEDIA).index(name))
            if name in MEDIA
            else (0 if "embed_tokens" in name else 2, 0, 0)
        )

    names = {name: gguf_name(name) for name in source}
    for name in sorted(source, key=place):
        a = source[name]
        if name in BY_PIXEL:
            a = a[..., order]
        if name == SEEN + "pos_embedding":  # one table for x, one for y, each by coordinate
            a = a.transpose(1, 0, 2)
        kind = gguf.BF16 if a.ndim == 2 else gguf.F32
        out.append((names[name], kind, a if kind == gguf.BF16 else gguf.as_f32(gguf.BF16, a)))
    head = config["text_config"]["global_head_dim"]
    turns = int(
        head
        * config["text_config"]["rope_parameters"]["full_attention"]["partial_rotary_factor"]
        / 2
    )
    out.append(
        ("rope_freqs.weight", gguf.F32, np.float32([1] * turns + [NEVER] * (head // 2 - turns)))
    )
    return out


# ---------------------------------------------------------------- keys
def token_lists(t):
    """tokenizer.json -> tokens, their kinds, merges as "left right" """
    vocab = t["model"]["vocab"]
    tokens = [None] * len(vocab)
    for text, i in vocab.items():
        tokens[i] = text
    if None in tokens:
        sys.exit(f"tokenizer.json: no token has the id {tokens.index(None)}")
    kinds = [BYTE if re.fullmatch(r"<0x[0-9A-F]{2}>", s) else NORMAL for s in tokens]
    for a in t["added_tokens"]:
        kinds[a["id"]] = CONTROL if a["special"] else USER
    return tokens, kinds, [m if isinstance(m, str) else " ".join(m) for m in t["model"]["merges"]]


def media_ids(c):
    """boi, boa, image, audio, eoi, eoa, video"""
    return [
        c[k]
        for k in (
            "boi_token_id",
            "boa_token_id",
            "image_token_id",
            "audio_token_id",
            "eoi_token_id",
            "eoa_token_index",
            "video_token_id",
        )
    ]


def keys(folder, name):
    """-> [(key, type, value)]; a list is an array"""
    c, g, t = (
        load_json(folder, f) for f in ("config.json", "generation_config.json", "tokenizer.json")
    )
    text, seen, heard = c["text_config"], c["vision_config"], c["audio_config"]
    tokens, kinds, merges = token_lists(t)
    stops = g["eos_token_id"] if isinstance(g["eos_token_id"], list) else [g["eos_token_id"]]
    near = [k == "sliding_attention" for k in text["layer_types"]]
    ropes = text["rope_parameters"]
    far_head, head = text["global_head_dim"], text["head_dim"]
    U32, I32, FLOAT, BOOL, STRING = gguf.U32, gguf.I32, gguf.FLOAT, gguf.BOOL, gguf.STRING
    out = [
        ("general.architecture", STRING, "gemma4"),
        ("general.type", STRING, "model"),
        ("general.name", STRING, name),
        ("general.license", STRING, "apache-2.0"),
        ("general.file_type", U32, BF16_FILE),
        ("general.quantization_version", U32, 2),
    ]
    out += [
        ("gemma4." + k, kind, v)
        for k, kind, v in (
            ("block_count", U32, text["num_hidden_layers"]),
            ("context_length", U32, text["max_position_embeddings"]),
            ("embedding_length", U32, text["hidden_size"]),
            ("feed_forward_length", U32, text["intermediate_size"]),
            ("attention.head_count", U32, text["num_attention_heads"]),
            (
                "attention.head_count_kv",
                I32,
                [text["num_key_value_heads" if n else "num_global_key_value_heads"] for n in near],
            ),
            ("rope.freq_base", FLOAT, ropes["full_attention"]["rope_theta"]),
            ("rope.freq_base_swa", FLOAT, ropes["sliding_attention"]["rope_theta"]),
            ("attention.layer_norm_rms_epsilon", FLOAT, text["rms_norm_eps"]),
            ("attention.key_length", U32, far_head),
            ("attention.value_length", U32, far_head),
            ("attention.key_length_swa", U32, head),
            ("attention.value_length_swa", U32, head),
            ("rope.dimension_count", U32, far_head),
            ("rope.dimension_count_swa", U32, head),
            ("final_logit_softcapping", FLOAT, text["final_logit_softcapping"]),
            ("attention.sliding_window", U32, text["sliding_window"]),
            ("attention.sliding_window_pattern", BOOL, near),
            ("attention.shared_kv_layers", U32, text["num_kv_shared_layers"]),
            ("embedding_length_per_layer_input", U32, text["hidden_size_per_layer_input"]),
        )
    ]
    ids = {
        k: tokens.index(s)
        for k, s in (
            ("bos", "<bos>"),
            ("eos", "<eos>"),
            ("eot", "<turn|>"),
            ("unknown", "<unk>"),
            ("padding", "<pad>"),
            ("mask", "<mask>"),
        )
    }
    out += [
        ("tokenizer.ggml." + k, kind, v)
        for k, kind, v in (
            ("model", STRING, "gemma4"),
            ("tokens", STRING, tokens),
            ("scores", FLOAT, [-1000.0] * len(tokens)),
            ("token_type", I32, kinds),
            ("merges", STRING, merges),
            *((k + "_token_id", U32, i) for k, i in ids.items()),
            ("suppress_tokens", I32, g["suppress_tokens"]),
            ("add_space_prefix", BOOL, False),
            ("add_bos_token", BOOL, True),
        )
    ]
    template = folder + "/chat_template.jinja"
    if os.path.exists(template):
        with open(template, encoding="utf-8") as f:
            out.append(("tokenizer.chat_template", STRING, f.read()))
    for which, width, kind in (
        ("vision", seen["mm_embed_dim"], "gemma4uv"),
        ("audio", heard["hidden_size"], "gemma4ua"),
    ):
        p = f"clip.{which}."
        out += [
            (f"clip.has_{which}_encoder", BOOL, True),
            (p + "projector_type", STRING, kind),
            (p + "projection_dim", U32, text["hidden_size"]),
            (p + "embedding_length", U32, width),
            (p + "feed_forward_length", U32, 0),
            (p + "block_count", U32, 0),
            (p + "attention.head_count", U32, 0),
            (p + "attention.layer_norm_epsilon", FLOAT, seen["rms_norm_eps"]),
        ]
    out += [
        ("clip.vision.image_size", U32, 224),
        ("clip.vision.patch_size", U32, seen["patch_size"]),
        ("clip.vision.image_mean", FLOAT, [0.0] * 3),
        ("clip.vision.image_std", FLOAT, [1.0] * 3),
        ("clip.audio.num_mel_bins", U32, 128),
        ("witnessd.media_ids", I32, media_ids(c)),
        ("witnessd.stop_tokens", I32, stops),
    ]
    return out


# ---------------------------------------------------------------- writing and checking
def write(folder, path, name):
    w = gguf.Writer()
    for key, kind, value in keys(folder, name):
        if isinstance(value, list):
            w.put_array(key, kind, value)
        else:
            w.put(key, kind, value)
    for t in tensors(folder, load_json(folder, "config.json")):
        w.tensor(*t)
    w.save(path)


def undone(name, a):
    """values of a tensor of the file in the folder's order, each element moved back on its own"""
    side = PATCH * POOL
    if name in BY_PIXEL:
        return np.moveaxis(a.reshape(*a.shape[:-1], 3, side, side), -3, -1).reshape(a.shape)
    return np.stack([a[0], a[1]], 1) if name == SEEN + "pos_embedding" else a


def check(folder, path):
    """-> what is wrong, one line each"""
    try:
        r = gguf.Reader(path)
    except (gguf.Broken, UnicodeDecodeError) as e:
        return [str(e)]
    wrong, source = [], load_safetensors(folder + "/model.safetensors")
    left = set(r.tensors) - {"rope_freqs.weight"}
    for name, bits in source.items():
        g = gguf_name(name)
        if g not in r.tensors:
            wrong.append(f"{g}: missing")
            continue
        left.discard(g)
        kind, a = r.tensors[g]
        a, want = undone(name, gguf.as_f32(kind, a)), gguf.as_f32(gguf.BF16, bits)
        if a.shape != want.shape:
            wrong.append(f"{g}: shape {a.shape}, {want.shape} in the folder")
        elif a.tobytes() != want.tobytes():
            wrong.append(f"{g}: {np.count_nonzero(a != want)} of {a.size} values differ")
        elif not np.isfinite(a).all():
            wrong.append(f"{g}: not all values are finite")
        elif (kind == gguf.F32) != (bits.ndim != 2):
            wrong.append(f"{g}: of type {kind}")
    wrong += [f"{g}: the folder has no such tensor" for g in sorted(left)]
    _, freqs = r.tensors.get("rope_freqs.weight", (0, np.zeros(0)))
    text = load_json(folder, "config.json")["text_config"]
    turning = (
        int(
            text["global_head_dim"]
            * text["rope_parameters"]["full_attention"]["partial_rotary_factor"]
        )
        // 2
    )
    if (
        len(freqs) != text["global_head_dim"] // 2
        or (freqs[:turning] != 1).any()
        or (freqs[turning:] < 1e29).any()
    ):
        wrong.append("rope_freqs.weight: not what config.json asks for")
    wanted = {k: (kind, v) for k, kind, v in keys(folder, r.keys.get("general.name", ""))}
    for k, (kind, v) in wanted.items():
        if kind == gguf.FLOAT:
            v = [float(np.float32(x)) for x in v] if isinstance(v, list) else float(np.float32(v))
        if r.keys.get(k) != v:
            wrong.append(f"{k}: {str(r.keys.get(k))[:60]}, wanted {str(v)[:60]}")
    wrong += [f"{k}: a key this tool does not write" for k in r.keys if k not in wanted]
    return wrong


def main():
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("folder")
    ap.add_argument("file")
    ap.add_argument("--name", default="nano", help="general.name")
    ap.add_argument("--check", action="store_true", help="write nothing")
    a = ap.parse_args()
    try:
        if not a.check:
            write(a.folder, a.file, a.name)
        wrong = check(a.folder, a.file)
    except OSError as e:
        sys.exit(f"{e.filename}: {e.strerror}")
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(1)
    r = gguf.Reader(a.file)
    print(
        f"{a.file}: {len(r.tensors)} tensors and {len(r.keys)} keys, all as in {a.folder}; "
        f"{os.path.getsize(a.file)} bytes"
    )


if __name__ == "__main__":
    main()
