"""Couplings of U(1) links in PyTorch, eager, as a tutorial writes them: masks, convolutions, reverse KL, Adam.

The network of arXiv:2101.08176: active plaquettes on stripes of period 4 are moved by mixtures of non-compact
projections and a shift, whose parameters convolutions read from the frozen plaquettes of the whole lattice. It imports
no JAX, for it may run with another interpreter: for every line on standard input, a number of steps, it prints the CPU
seconds they took.

Usage: torch_link_coupling.py EXTENT BATCH LAYERS BETA
"""

import itertools
import math
import sys
import time

import torch

HIDDEN, MIXED = (8, 8), 2


def plaquettes(x):
    return x[:, 0] + torch.roll(x[:, 1], -1, 1) - torch.roll(x[:, 0], -1, 2) - x[:, 1]


class Coupling(torch.nn.Module):
    """Links of direction mu on every fourth stripe, given by plaquettes that hold none of them."""

    def __init__(self, extent, mu, offset):
        super().__init__()
        across = torch.arange(extent)[None, :] if mu == 0 else torch.arange(extent)[:, None]
        stripes = ((across - offset) % 4).expand(extent, extent)
        self.mu = mu
        self.active, self.frozen = (stripes == 0).double(), ((stripes == 1) | (stripes == 2)).double()
        sizes, layers = (2, *HIDDEN, MIXED + 1), []
        for a, b in itertools.pairwise(sizes):
            layers += [torch.nn.Conv2d(a, b, 3, padding=1, padding_mode="circular"), torch.nn.LeakyReLU()]
        self.network = torch.nn.Sequential(*layers[:-1]).double()

    def forward(self, x):
        """Links after the coupling, and its log-det."""
        loops = plaquettes(x)
        read = torch.stack([torch.cos(loops), torch.sin(loops)], dim=1) * self.frozen
        out = self.network(read)
        scales, shift = out[:, :MIXED], out[:, MIXED]
        here = loops[:, None]
        images = 2 * torch.atan(torch.exp(scales) * torch.tan(here / 2))
        cosine, sine = torch.cos(here / 2), torch.sin(here / 2)
        slopes = -torch.log(torch.exp(-scales) * cosine**2 + torch.exp(scales) * sine**2)
        log_det = torch.logsumexp(slopes, dim=1) - math.log(MIXED)
        moved = torch.remainder(images.mean(dim=1) + shift + math.pi, 2 * math.pi) - math.pi
        change = (moved - loops) * self.active * (1 if self.mu == 0 else -1)
        zero = torch.zeros_like(change)
        x = x + torch.stack([change, zero] if self.mu == 0 else [zero, change], dim=1)
        return x, (log_det * self.active).sum(dim=(1, 2))


class Training:
    """Steps of Adam on the reverse KL from uniform angles."""

    def __init__(self, extent, batch, layers, beta):
        torch.manual_seed(1)
        self.shape, self.beta = (batch, 2, extent, extent), beta
        places = [(i // 4 % 2, i % 4) for i in range(layers)]
        self.layers = torch.nn.ModuleList(Coupling(extent, mu, offset) for mu, offset in places)
        self.optimiser = torch.optim.Adam(self.layers.parameters(), lr=1e-3)

    def step(self):
        """The loss, after one step along its gradient."""
        x = (torch.rand(self.shape, dtype=torch.float64) * 2 - 1) * math.pi
        log_q = torch.zeros(self.shape[0], dtype=torch.float64)
        for layer in self.layers:
            x, log_det = layer(x)
            log_q = log_q - log_det
        energy = self.beta * (1 - torch.cos(plaquettes(x))).sum(dim=(1, 2))
        loss = (log_q + energy).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())


def main():
    torch.set_num_threads(1)
    extent, batch, layers = map(int, sys.argv[1:4])
    training = Training(extent, batch, layers, float(sys.argv[4]))
    for line in sys.stdin:
        start, loss = time.process_time(), math.nan
        for _ in range(int(line)):
            loss = training.step()
        print(time.process_time() - start, loss, flush=True)


if __name__ == "__main__":
    main()
