"""PyTorch eager VAE, beta-VAE and VQ-VAE with keras-gen's layer sizes for 28x28 images: the peer to match.

Usage: python vae_torch.py MODEL FOLDER [--latent-dim N] [--seconds S | --steps N] [--dtype float32|bfloat16]
       FOLDER holds Fashion-MNIST in MNIST's format. Prints one JSON line.

Trains for so many seconds and measures the bound on the 10,000 test images, one draw each; or, with --steps,
times so many steps. One optimizer (Adam 1e-3) for all, PyTorch's own initial weights.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("model", choices=("vae", "beta-vae", "vq-vae"))
parser.add_argument("folder", type=Path)
parser.add_argument("--latent-dim", type=int, default=100)
parser.add_argument("--beta", type=float, default=4.0)
parser.add_argument("--seconds", type=float, default=60.0)
parser.add_argument("--steps", type=int)
parser.add_argument("--batch", type=int, default=64)
parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
options = parser.parse_args()
torch.set_num_threads(2)
torch.manual_seed(0)


def images(name):
    """float32 (count, 1, 28, 28) in [0, 1]."""
    path = next(options.folder.glob(f"{name}-images*idx3-ubyte*"))
    data = (gzip.open if path.suffix == ".gz" else open)(path, "rb").read()
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=16).reshape(-1, 1, 28, 28).astype("float32") / 255)


class VAE(nn.Module):
    beta = 1.0

    def __init__(self, latent_dim):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 5, 2, 2), nn.ReLU(), nn.Conv2d(32, 64, 5, 2, 2), nn.ReLU(),
            nn.Conv2d(64, 128, 5, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 2048), nn.ReLU(), nn.Unflatten(1, (128, 4, 4)),
            nn.ConvTranspose2d(128, 64, 5, 2, 2, 0), nn.ReLU(), nn.ConvTranspose2d(64, 32, 5, 2, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 5, 2, 2, 1),
        )

    def forward(self, x):
        mean, log_variance = self.encoder(2 * x - 1).float().chunk(2, 1)
        logits = self.decoder(mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)).float()
        nll = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)
        return (nll + self.beta * kl).mean(), nll + kl


class VQVAE(nn.Module):
    def __init__(self, latent_dim, codes=256, width=64):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 5, 2, 2), nn.ReLU(), nn.Conv2d(32, 64, 5, 2, 2), nn.ReLU(),
            nn.Conv2d(64, max(latent_dim, 32), 3, 1, 1), nn.ReLU(), nn.Conv2d(max(latent_dim, 32), latent_dim, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(latent_dim, 64, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 5, 2, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 5, 2, 2, 1),
        )
        self.embedding, self.position = nn.Embedding(codes + 1, width), nn.Parameter(0.02 * torch.randn(49, width))
        block = nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.prior = nn.TransformerEncoder(block, 2, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, codes)
        self.codes, self.ready = codes, False
        self.register_buffer("codebook", torch.zeros(codes, latent_dim))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, latent_dim))
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(49))

    def forward(self, x):
        z = self.encoder(2 * x - 1).float().permute(0, 2, 3, 1)
        flat = z.detach().reshape(-1, z.shape[-1])
        chosen = (self.codebook.square().sum(1) - 2 * flat @ self.codebook.T).argmin(1)
        e = self.codebook[chosen].view_as(z)
        logits = self.decoder((z + (e - z).detach()).permute(0, 3, 1, 2)).float()
        nll = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
        commitment = (z - e).square().flatten(1).sum(1)
        if self.training:
            one_hot = F.one_hot(chosen, self.codes).float()
            self.counts.mul_(0.99).add_(0.01 * one_hot.sum(0))
            self.sums.mul_(0.99).add_(0.01 * one_hot.T @ flat)
            fair = len(flat) / self.codes
            dead = self.counts < 0.03 * fair
            self.sums[dead] = fair * flat[torch.randperm(len(flat))[: int(dead.sum())]]
            self.counts[dead] = fair
            self.codebook.copy_(self.sums / self.counts[:, None])
        chosen = chosen.view(len(x), 49)
        before = F.pad(chosen[:, :-1], (1, 0), value=self.codes)
        scores = self.head(self.prior(self.embedding(before) + self.position, mask=self.mask, is_causal=True)).float()
        code_nll = F.cross_entropy(scores.transpose(1, 2), chosen, reduction="none").sum(1)
        return (nll + 0.25 * commitment + code_nll).mean(), nll + code_nll


model = VQVAE(options.latent_dim) if options.model == "vq-vae" else VAE(options.latent_dim)
if options.model == "beta-vae":
    model.beta = options.beta
model = model.to(memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
autocast = torch.autocast("cpu", dtype=getattr(torch, options.dtype), enabled=options.dtype != "float32")
train = images("train")


def batches():
    while True:
        yield from (train[i] for i in torch.randperm(len(train)).split(options.batch) if len(i) == options.batch)


times, began = [], time.perf_counter()
for batch in batches():
    start = time.perf_counter()
    with autocast:
        loss, _ = model(batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    loss.item()
    times.append(time.perf_counter() - start)
    if len(times) >= options.steps + 5 if options.steps else time.perf_counter() - began > options.seconds:
        break
result = {"peer": "torch-eager", "model": options.model, "latent_dim": options.latent_dim, "dtype": options.dtype,
          "batch": options.batch, "steps": len(times), "step_s": round(sorted(times[5:])[len(times[5:]) // 2], 5)}
if not options.steps:
    model.eval()
    with torch.no_grad():
        bounds = torch.cat([model(batch)[1] for batch in images("t10k").split(500)])
    result["negative_elbo_nats"] = round(bounds.mean().item(), 2)
print(json.dumps(result))
