"""The architecture of Gemma 4 Unified at nano's size, in plain PyTorch: all positions at once,
and greedy decoding."""

import dataclasses
import math

try:
    import torch
    import torch.nn.functional as F
    from torch import nn
except ImportError:
    raise SystemExit("PyTorch was not found: pip install torch") from None

BLOCKED = -1e30


@dataclasses.dataclass
class Shape:
    vocab: int = 784
    hidden: int = 256
    inner: int = 1024
    layers: int = 6
    period: int = 6  # every so many layers one is global, and the last
    heads: int = 4
    kv_heads: int = 2
    head: int = 64
    far_kv_heads: int = 1
    far_head: int = 128
    window: int = 512
    theta: float = 1e4
    far_theta: float = 1e6
    turning: float = 0.25  # share of a global head's pairs that turn
    eps: float = 1e-6
    cap: float = 30.0
    frame: int = 640
    patch: int = 6912
    seen: int = 128  # width of the picture embedder
    positions: int = 16

    def far(self, i):
        return i % self.period == self.period - 1 or i == self.layers - 1


def rms(x, w=None, eps=1e-6):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y if w is None else y * w


def angles(s, far, at):
    """cosines and sines [.., head / 2] of positions"""
    d = s.far_head if far else s.head
    k = torch.arange(d // 2).float()
    f = (s.far_theta if far else s.theta) ** (-2 * k / d)
    if far:
        f = torch.where(k < int(s.turning * d / 2), f, 0.0)
    a = at[..., None].float() * f
    return a.cos(), a.sin()


def turned(x, cos, sin):
    """the first half of a head is paired with the second"""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def matrix(rows, columns):
    return nn.Parameter(torch.randn(rows, columns) / math.sqrt(columns))


def vector(n, value):
    return nn.Parameter(torch.full((n,), float(value)))


class Layer(nn.Module):
    def __init__(self, s, far):
        super().__init__()
        self.far, self.heads = far, s.heads
        self.head = s.far_head if far else s.head
        self.kv = s.far_kv_heads if far else s.kv_heads
        wide = self.heads * self.head
        self.q, self.k = matrix(wide, s.hidden), matrix(self.kv * self.head, s.hidden)
        self.v = None if far else matrix(self.kv * self.head, s.hidden)  # global: the raw keys
        self.o = matrix(s.hidden, wide)
        self.gate, self.up = matrix(s.inner, s.hidden), matrix(s.inner, s.hidden)
        self.down = matrix(s.hidden, s.inner)
        self.q_norm, self.k_norm = (vector(self.head, self.head**-0.25) for _ in "qk")
        self.before_attention, self.before_inner = vector(s.hidden, 1), vector(s.hidden, 1)
        self.after_attention, self.after_inner = vector(s.hidden, 0.5), vector(s.hidden, 0.5)
        self.scalar = vector(1, 1)

    def forward(self, h, turn, mask, cache=None):
        """cache: a dict that keeps keys and values for the next call"""
        B, T, _ = h.shape
        x = rms(h, self.before_attention)

        def heads(w, n):
            return (x @ w.T).view(B, T, n, self.head)

        raw = heads(self.k, self.kv)
        q = turned(rms(heads(self.q, self.heads), self.q_norm).transpose(1, 2), *turn)
        k = turned(rms(raw, self.k_norm).transpose(1, 2), *turn)
        v = rms(raw if self.far else heads(self.v, self.kv)).transpose(1, 2)
        if cache is not None:
            if cache:
                k, v = torch.cat([cache["k"], k], 2), torch.cat([cache["v"], v], 2)
            cache.update(k=k, v=v)
        n = self.heads // self.kv
        k, v = k.repeat_interleave(n, 1), v.repeat_interleave(n, 1)
        o = F.scaled_dot_product_attention(q, k, v, mask, scale=1.0)  # the norms carry the scale
        h = h + rms(o.transpose(1, 2).reshape(B, T, -1) @ self.o.T, self.after_attention)
        x = rms(h, self.before_inner)
        x = (F.gelu(x @ self.gate.T, approximate="tanh") * (x @ self.up.T)) @ self.down.T
        return (h + rms(x, self.after_inner)) * self.scalar


class Nano(nn.Module):
    """symbols, shown: outputs of the heads on the state in the middle, which training needs and
    the model does not"""

    MIDDLE = 4

    def __init__(self, shape=None, symbols=0, shown=0):
        super().__init__()
        s = self.shape = shape or Shape()
        self.embed = matrix(s.vocab, s.hidden)
        self.layers = nn.ModuleList(Layer(s, s.far(i)) for i in range(s.layers))
        self.norm = vector(s.hidden, 1)
        self.sound = matrix(s.hidden, s.frame)
        self.ln1, self.dense = nn.LayerNorm(s.patch), nn.Linear(s.patch, s.seen)
        self.ln2, self.ln3 = nn.LayerNorm(s.seen), nn.LayerNorm(s.seen)
        self.places = nn.Parameter(torch.randn(s.positions, 2, s.seen) * 0.3)
        self.picture = matrix(s.hidden, s.seen)
        self.side_norm = vector(s.hidden, 1)
        self.spoken = nn.Linear(s.hidden, symbols)
        self.voice = matrix(64, s.hidden)
        self.shown, self.before = nn.Linear(s.hidden, shown), nn.Linear(s.hidden, shown)

    # ------------------------------------------------------------ rows
    def text_rows(self, ids):
        return self.embed[ids] * math.sqrt(self.shape.hidden)

    def sound_rows(self, frames):
        return rms(frames) @ self.sound.T

    def picture_rows(self, pixels, places):
        """bytes [n, 6912], columns and rows [n, 2]"""
        e = self.ln2(self.dense(self.ln1(pixels.float() / 255)))
        e = self.ln3(e + self.places[places[:, 0], 0] + self.places[places[:, 1], 1])
        return rms(e) @ self.picture.T

    def rows(self, b):
        """what prompts.batch() gives, as tensors -> [B, T, hidden]"""
        parts = [self.text_rows(b["ids"]), self.sound_rows(b["sound"])]
        if len(b["pixels"]):
            parts.append(self.picture_rows(b["pixels"], b["places"]))
        parts.append(torch.zeros(1, self.shape.hidden))
        return torch.cat(parts)[b["rows"]]

    def masks(self, T, picture):
        """{global layers: causal, sliding: in the window, both ways inside a picture}"""
        t = torch.arange(T)
        causal, near = t[:, None] >= t, t > t[:, None] - self.shape.window
        own = causal[None]
        if picture.any():
            own = own | ((picture[:, :, None] == picture[:, None]) & (picture[:, None] > 0))
        both = {True: causal[None, None], False: (own & near)[:, None]}
        return {far: torch.where(m, 0.0, BLOCKED) for far, m in both.items()}

    def forward(self, b):
        """-> states after the last layer and in the middle, [B * T, hidden] each"""
        h = self.rows(b)
        T, masks = h.shape[1], self.masks(h.shape[1], b["picture"])
        turns = {far: angles(self.shape, far, torch.arange(T)) for far in (True, False)}
        for i, layer in enumerate(self.layers, 1):
            h = layer(h, turns[layer.far], masks[layer.far])
            if i == self.MIDDLE:
                middle = h
        return h.flatten(0, 1), middle.flatten(0, 1)

    def logits(self, h):
        cap = self.shape.cap
        return cap * torch.tanh(rms(h, self.norm) @ self.embed.T / cap)

    # ------------------------------------------------------------ greedy
    @torch.no_grad()
    def answer(self, b, stop, never=(), longest=128):
        """b: one prompt without its answer -> ids, the stop id included, and the gaps between
        the two best logits"""
        x, caches, ids, gaps, at = self.rows(b), [{} for _ in self.layers], [], [], 0
        masks = self.masks(x.shape[1], b["picture"])
        while True:
            T = x.shape[1]
            here = torch.arange(at, at + T)
            if at:
                keys = torch.arange(at + T)
                near = torch.where(keys > at - self.shape.window, 0.0, BLOCKED)
                masks = {True: torch.zeros(1, at + T), False: near[None]}
            for layer, cache in zip(self.layers, caches):
                x = layer(x, angles(self.shape, layer.far, here), masks[layer.far], cache)
            z = self.logits(x[0, -1])
            z[list(never)] = BLOCKED
            best = z.topk(2)
            ids.append(int(best.indices[0]))
            gaps.append(float(best.values[0] - best.values[1]))
            at += T
            if ids[-1] == stop or len(ids) == longest:
                return ids, gaps
            x = self.text_rows(best.indices[:1])[None]


LAYER_NAMES = {
    "self_attn.q_proj.weight": "q",
    "self_attn.k_proj.weight": "k",
    "self_attn.v_proj.weight": "v",
    "self_attn.o_proj.weight": "o",
    "self_attn.q_norm.weight": "q_norm",
    "self_attn.k_norm.weight": "k_norm",
    "mlp.gate_proj.weight": "gate",
    "mlp.up_proj.weight": "up",
    "mlp.down_proj.weight": "down",
    "input_layernorm.weight": "before_attention",
    "post_attention_layernorm.weight": "after_attention",
    "pre_feedforward_layernorm.weight": "before_inner",
    "post_feedforward_layernorm.weight": "after_inner",
    "layer_scalar": "scalar",
}


def published(net):
    """-> {name in a published folder: parameter}"""
    text, seen = "model.language_model.", "model.vision_embedder."
    out = {text + "embed_tokens.weight": net.embed, text + "norm.weight": net.norm}
    for i, layer in enumerate(net.layers):
        for name, mine in LAYER_NAMES.items():
            if getattr(layer, mine) is not None:
                out[f"{text}layers.{i}.{name}"] = getattr(layer, mine)
    parts = dict(patch_ln1=net.ln1, patch_dense=net.dense, patch_ln2=net.ln2, pos_norm=net.ln3)
    for name, part in parts.items():
        out[f"{seen}{name}.weight"], out[f"{seen}{name}.bias"] = part.weight, part.bias
    out[seen + "pos_embedding"] = net.places
    out["model.embed_vision.embedding_projection.weight"] = net.picture
    out["model.embed_audio.embedding_projection.weight"] = net.sound
    return out
