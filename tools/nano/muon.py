"""The optimiser: Muon for the layers' matrices (momentum, made orthogonal), AdamW for everything
else."""

import math

import torch

MOMENTUM, BETAS, EPS, DECAY = 0.95, (0.9, 0.98), 1e-8, 0.03
FILTERS = {
    "sound": 0.5,
    "dense.weight": 1.0,
}  # begin as filter banks: their own share of the rate, no decay
QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonal(x, steps=4):
    """Newton-Schulz: pulls all singular values of a stack of matrices towards 1"""
    if x.shape[1] > x.shape[2]:
        return orthogonal(x.transpose(1, 2), steps).transpose(1, 2)
    a, b, c = QUINTIC
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        s = x @ x.transpose(1, 2)
        x = a * x + (b * s + c * s @ s) @ x
    return x


class Optimiser:
    def __init__(self, net):
        self.stacks, self.rest, self.t = {}, {}, 0
        for name, p in net.named_parameters():
            if name.startswith("layers.") and p.ndim == 2:
                self.stacks.setdefault(tuple(p.shape), {})[name] = p  # those of one shape together
            else:
                self.rest[name] = p
        self.first = {n: torch.zeros_like(p) for n, p in net.named_parameters()}
        self.second = {n: torch.zeros_like(p) for n, p in self.rest.items()}

    def state(self):
        return dict(t=self.t, first=self.first, second=self.second)

    def load(self, s):
        self.t, self.first, self.second = s["t"], s["first"], s["second"]

    @torch.no_grad()
    def step(self, rate):
        self.t += 1
        for shape, ps in self.stacks.items():
            g = [
                p.grad + MOMENTUM * self.first[n].mul_(MOMENTUM).add_(p.grad) for n, p in ps.items()
            ]
            for p, u in zip(ps.values(), orthogonal(torch.stack(g))):
                p.mul_(1 - rate * DECAY).add_(u, alpha=-rate * 0.2 * math.sqrt(max(shape)))
        for n, p in self.rest.items():
            if p.grad is None:
                continue
            lr = rate * FILTERS.get(n, 1.0)
            m = self.first[n].lerp_(p.grad, 1 - BETAS[0])
            v = self.second[n].lerp_(p.grad.square(), 1 - BETAS[1])
            if p.ndim == 2 and n not in FILTERS:
                p.mul_(1 - lr * DECAY)
            size = (v / (1 - BETAS[1] ** self.t)).sqrt_().add_(EPS)
            p.addcdiv_(m, size, value=-lr / (1 - BETAS[0] ** self.t))
