"""Initial weights that already do something: filters for sound and pictures, heads that look a
little back."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from net import BLOCKED, angles, rms

WINDOWS, WIDTH = (0, 192, 384), 256  # of 16 ms inside a frame of 40 ms
LOW_BANDS = 20  # over the whole frame, for the pitch


def wave_pair(window, at, hz):
    """a window of samples times cosine and sine"""
    w, t = np.zeros(640), np.arange(640) / 16000
    w[at : at + len(window)] = window
    return [w * np.cos(2 * np.pi * hz * t), w * np.sin(2 * np.pi * hz * t)]


@torch.no_grad()
def sound(net, frames):
    """A filter bank of unit power on real frames; the first inner part begins as exact squares
    of it, since gelu(x) x + gelu(-x) (-x) = x^2, two of which are the energy of a band."""
    hidden, layer = net.shape.hidden, net.layers[0]
    mel = np.linspace(
        1127 * math.log(1 + 150 / 700),
        1127 * math.log(1 + 7500 / 700),
        (hidden - 2 * LOW_BANDS) // 6,
    )
    rows = [
        x
        for at in WINDOWS
        for m in mel
        for x in wave_pair(np.hanning(WIDTH), at, 700 * (math.exp(m / 1127) - 1))
    ]
    rows += [x for hz in np.linspace(80, 460, LOW_BANDS) for x in wave_pair(np.hanning(640), 0, hz)]
    w = torch.tensor(np.array(rows), dtype=torch.float32)
    n = len(w)
    net.sound[:n] = w / ((rms(frames) @ w.T).pow(2).mean(0).sqrt()[:, None] + 1e-6)
    net.sound[n:] *= 0.1
    g = torch.Generator().manual_seed(5)
    axes = torch.linalg.qr(torch.randn(hidden, hidden, generator=g))[
        0
    ]  # one for each band's energy
    band = torch.arange(n)
    for sign, first in ((1.0, 0), (-1.0, 1)):
        unit = 2 * band + first
        layer.gate[unit], layer.up[unit] = 0, 0
        layer.gate[unit, band], layer.up[unit, band] = 1.5 * sign, sign
        layer.down[:, unit] = axes[band // 2].T / 1.5
    layer.down[:, 2 * n :] *= 0.3
    layer.after_inner.fill_(2.0)
    layer.after_attention.fill_(0.2)


@torch.no_grad()
def looking_back(net, frames, layers=(1, 2, 3), distances=(0, 1, 2, 4), strength=1.5, pairs=16):
    """Heads of some sliding layers begin by looking so many frames back. Energies are positive,
    so the mean state of sound is far from zero: along it, queries and keys get constant entries
    in the fast RoPE pairs, whose turn against each other is greatest at the wanted distance."""
    d, T = net.shape.head, len(frames)
    speed = net.shape.theta ** (-2 * torch.arange(pairs).float() / d)
    h, k = net.sound_rows(frames)[None], torch.arange(pairs)
    mask = torch.full((T, T), BLOCKED).triu(1)
    for i, layer in enumerate(net.layers):
        if i in layers and not layer.far:
            x = rms(h, layer.before_attention)[0]
            mean = F.normalize(x.mean(0), dim=0)
            size = (x @ layer.q.T).pow(2).mean().sqrt() / (x @ mean).mean()
            amount = strength * size * math.sqrt(d / (2 * pairs))
            for head in range(layer.heads):
                back = distances[head % len(distances)] * speed
                layer.q[head * d + k] += amount * torch.cos(-back)[:, None] * mean
                layer.q[head * d + d // 2 + k] += amount * torch.sin(-back)[:, None] * mean
            for head in range(layer.kv):
                layer.k[head * d + k] += amount * mean
        h = layer(h, angles(net.shape, layer.far, torch.arange(T)), mask)


@torch.no_grad()
def pictures(net, pixels):
    """the lowest cosines in two dimensions of brightness and two colour differences, of unit
    power on real patches"""
    n, t = net.shape.seen, (np.arange(48) + 0.5) * np.pi / 48
    order = sorted((i * i + j * j, i, j) for i in range(12) for j in range(12))[: -(-n // 3)]
    colours = np.array([(1, 1, 1), (1, -1, 0), (1, 1, -2)])
    w = [
        (np.outer(np.cos(i * t), np.cos(j * t))[..., None] * c).ravel()
        for _, i, j in order
        for c in colours
    ]
    w = torch.tensor(np.array(w[:n]), dtype=torch.float32)
    x = F.layer_norm(torch.from_numpy(pixels).float() / 255, (net.shape.patch,))
    size = (x @ w.T).pow(2).mean(0).sqrt()[:, None]
    net.dense.weight.copy_(w / (size + 0.1 * size.mean()))
    net.dense.bias.zero_()
