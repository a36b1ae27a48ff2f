#!/usr/bin/env python3
"""make_seeds.py FOLDER - writes the files that fuzzing starts from: FOLDER/<target>/*.

Small but whole: each gets past the first checks, so that fuzzing reaches what lies behind. Targets that are not named here start from nothing.
"""
import json
import os
import struct
import sys


def text(s):
    b = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(b)) + b


def scalar(key, kind, fmt, value):
    return text(key) + struct.pack("<I", kind) + struct.pack("<" + fmt, value)


def string(key, value):
    return text(key) + struct.pack("<I", 8) + text(value)


def array(key, kind, items):
    return text(key) + struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)


def gguf(keys, tensors, version=3, align=32):
    """tensors: (name, type, dims, bytes)"""
    infos, data = b"", b""
    for name, kind, dims, content in tensors:
        data += bytes(-len(data) % align)
        infos += text(name) + struct.pack("<I", len(dims)) + b"".join(struct.pack("<Q", d) for d in dims)
        infos += struct.pack("<IQ", kind, len(data))
        data += content
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(keys) + infos
    return head + (bytes(-len(head) % align) + data if data else b"")


PIECES = ["<pad>", "<eos>", "<bos>", "<unk>", "a", "b", "ab", "\u2581", "\u2581ab", "<0x0A>", "<turn|>", "<|image>",
          "<image|>", "<|image|>", "<|audio>", "<audio|>", "<|audio|>"]
MERGES = ["a b", "\u2581 ab"]
TYPES = [3, 1, 3, 3, 1, 1, 1, 1, 1, 6] + [3] * 7


def tokenizer_keys():
    return [string("tokenizer.ggml.model", "gemma4"),
            array("tokenizer.ggml.tokens", 8, [text(p) for p in PIECES]),
            array("tokenizer.ggml.token_type", 5, [struct.pack("<i", t) for t in TYPES]),
            array("tokenizer.ggml.merges", 8, [text(m) for m in MERGES]),
            scalar("tokenizer.ggml.eos_token_id", 4, "I", 1)]


def model_keys():
    u32 = [("block_count", 2), ("context_length", 64), ("embedding_length", 8), ("feed_forward_length", 8),
           ("attention.head_count", 2), ("attention.key_length", 4), ("attention.value_length", 4),
           ("attention.key_length_swa", 2), ("attention.sliding_window", 8), ("rope.dimension_count", 4)]
    return ([string("general.architecture", "gemma4"), string("general.name", "seed")]
            + [scalar("gemma4." + k, 4, "I", v) for k, v in u32]
            + [array("gemma4.attention.head_count_kv", 5, [struct.pack("<i", 1)] * 2),
               array("gemma4.attention.sliding_window_pattern", 7, [b"\1", b"\0"]),
               scalar("gemma4.rope.freq_base", 6, "f", 1e6),
               scalar("clip.has_vision_encoder", 7, "B", 1), string("clip.vision.projector_type", "gemma4uv"),
               scalar("clip.vision.embedding_length", 4, "I", 4),
               scalar("clip.has_audio_encoder", 7, "B", 1), string("clip.audio.projector_type", "gemma4ua"),
               array("witnessd.media_ids", 5, [struct.pack("<i", i) for i in range(7)])])


def seeds():
    tensors = [("token_embd.weight", 0, [8, len(PIECES)], bytes(32 * len(PIECES))), ("blk.0.attn_v.weight", 8, [32], bytes(34)),
               ("v.position_embd.weight", 1, [4, 3, 2], bytes(48)),
               ("rope_freqs.weight", 0, [2], struct.pack("<ff", 1, 1e30))]
    yield "fuzz_gguf", "model", gguf(model_keys() + tokenizer_keys(), tensors)
    blocks = [(2, 32, 18), (3, 32, 20), (6, 32, 22), (7, 32, 24), (8, 32, 34), (10, 256, 84), (11, 256, 110),
              (12, 256, 144), (13, 256, 176), (14, 256, 210), (20, 32, 18), (23, 256, 136)]
    yield "fuzz_gguf", "blocks", gguf([], [("t%d" % kind, kind, [n, 2], bytes(range(3, 3 + size)) * 2)
                                            for kind, n, size in blocks])
    yield "fuzz_gguf", "vocabulary", gguf(tokenizer_keys(), [])
    yield "fuzz_gguf", "numbers", gguf([scalar("k%d" % kind, kind, fmt, 1) for kind, fmt in enumerate("BbHhIif?")]
                                       + [scalar("u64", 10, "Q", 1 << 63), scalar("i64", 11, "q", -1),
                                          scalar("f64", 12, "d", 0.5), scalar("general.alignment", 4, "I", 64)],
                                       [("t", 2, [64, 2], bytes(72)), ("b", 30, [3], bytes(6))], 2, 64)
    head = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b\u00e9": {"dtype": "BF16", "shape": [], "data_offsets": [24, 26]},
            "c": {"dtype": "F16", "shape": [1, 1, 1, 2], "data_offsets": [26, 30]}, "__metadata__": {"format": "pt"}}
    for i, ascii_only in enumerate((True, False)):
        h = json.dumps(head, ensure_ascii=ascii_only).encode()
        yield "fuzz_safetensors", "three-%d" % i, struct.pack("<Q", len(h)) + h + bytes(range(30))
        yield "fuzz_safetensors", "line-%d" % i, b"\1" * 8 + h + b"\n" + bytes(30)
    tok = {"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}, "pre_tokenizer": None,
           "added_tokens": [{"id": i, "content": p, "special": i != 4, "lstrip": False} for i, p in enumerate(PIECES[:5])],
           "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "ignore_merges": False,
                     "vocab": {p: i for i, p in enumerate(PIECES)}, "merges": [m.split(" ") for m in MERGES]}}
    yield "fuzz_tokenizer", "json-arrays", b"\2" + json.dumps(tok).encode()
    tok["model"]["merges"] = MERGES
    yield "fuzz_tokenizer", "json-strings", b"\3" + json.dumps(tok, ensure_ascii=False).encode()
    config = {"model_type": "gemma4_unified", "image_token_id": 13, "audio_token_id": 16, "eoa_token_index": 15,
              "text_config": {"model_type": "gemma4_unified_text", "hidden_size": 8, "num_hidden_layers": 2,
                              "intermediate_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
                              "vocab_size": 17, "sliding_window": 8, "max_position_embeddings": 64,
                              "layer_types": ["sliding_attention", "full_attention"], "attention_k_eq_v": True,
                              "rope_parameters": {"full_attention": {"rope_type": "proportional", "rope_theta": 1e6,
                                                                     "partial_rotary_factor": 0.5},
                                                  "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}},
                              "per_layer_config": {"1": {"head_dim": 8, "num_key_value_heads": 1}}},
              "vision_config": {"mm_embed_dim": 4, "mm_posemb_size": 3}, "audio_config": {"audio_embed_dim": 640}}
    generation = {"eos_token_id": [1, 10], "suppress_tokens": [12, 15]}
    index = {"metadata": {"total_size": 12},
             "weight_map": {n: "one.safetensors" for n in ("model.language_model.norm.weight",
                                                           "model.embed_audio.embedding_projection.weight")}}
    for name, parts in (("single", (config, generation, tok)), ("sharded", (config, generation, tok, index))):
        yield "fuzz_folder", name, b"\0".join(json.dumps(p).encode() for p in parts)
    for i, s in enumerate(("the quick brown fox\n\n  jumps", "<|turn>user\nhi<turn|>\n", "\u00e9\U0001f999\u6f22", "a" * 80)):
        yield "fuzz_tokenizer", "text-%d" % i, b"\0" + s.encode()
        yield "fuzz_tokenizer", "special-%d" % i, b"\4" + s.encode()
    yield "fuzz_tokenizer", "ids", b"\5" + struct.pack("<40H", *range(0, 800, 20))

    chats = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "model", "data", "chat-rendered.json")
    with open(chats, encoding="utf-8") as f:
        for i, c in enumerate(json.load(f)):
            tools = c["options"].get("tools")
            yield ("fuzz_chat", "render-%s" % c["name"], bytes([2 + 4 * (i % 16)]) + json.dumps(c["messages"]).encode()
                   + (b"\0" + json.dumps(tools).encode() if tools else b""))
            if c.get("text"):
                yield "fuzz_chat", "reply-%s" % c["name"], bytes([4 * (i % 2)]) + c["text"].split("<|turn>model\n")[-1].encode()
    yield "fuzz_chat", "tokens", b"\1" + struct.pack("<40H", *([772 + i % 10 for i in range(20)] + list(range(100, 120))))


def main():
    for target, name, content in seeds():
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
