"""PyTorch eager step of fast style transfer: keras-gen's network and loss, the peer to match.

Usage: python style_torch.py BATCH float32|bfloat16 [--size N] [--steps N] [--width N] [--separable]
       [--channels-last]. Prints one JSON line: the median step after two that warm up.

Same layers, same VGG-16 features (random weights), same losses, Adam. bfloat16 is PyTorch's autocast; Gram
matrices are taken in it too. Borders are mirrored. Up-sampling is nearest `interpolate` and a convolution,
as is usual in PyTorch.
"""

import argparse
import json
import time

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("batch", type=int)
parser.add_argument("dtype", choices=("float32", "bfloat16"))
parser.add_argument("--size", type=int, default=256)
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--width", type=int, default=16)
parser.add_argument("--styles", type=int, default=8)
parser.add_argument("--separable", action="store_true")
parser.add_argument("--channels-last", action="store_true")
options = parser.parse_args()
torch.set_num_threads(2)
torch.manual_seed(0)


class Conditional(nn.Module):
    def __init__(self, styles, channels):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(styles, channels))
        self.beta = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, x, weights):
        x = F.instance_norm(x, eps=1e-5)
        gamma, beta = weights @ self.gamma, weights @ self.beta
        return x * gamma[:, :, None, None].to(x.dtype) + beta[:, :, None, None].to(x.dtype)


class Residual(nn.Module):
    def __init__(self, styles, channels, separable):
        super().__init__()

        def convolution():
            if not separable:
                return nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=False)
            return nn.Sequential(
                nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", groups=channels, bias=False),
                nn.Conv2d(channels, channels, 1, bias=False),
            )

        self.a, self.b = convolution(), convolution()
        self.norm_a, self.norm_b = Conditional(styles, channels), Conditional(styles, channels)

    def forward(self, x, weights):
        y = F.relu(self.norm_a(self.a(x), weights))
        return x + self.norm_b(self.b(y), weights)


class Coarse(nn.Module):
    def __init__(self, styles, channels, separable):
        super().__init__()
        self.shrink = nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, padding_mode="reflect", bias=False)
        self.down, self.up = (nn.Conv2d(channels, channels, 1, bias=False) for _ in range(2))
        self.norm_down, self.norm_up = Conditional(styles, channels), Conditional(styles, channels)
        self.blocks = nn.ModuleList(Residual(styles, channels, separable) for _ in range(3))

    def forward(self, x, weights):
        y = F.relu(self.norm_down(self.down(self.shrink(x)), weights))
        for block in self.blocks:
            y = block(y, weights)
        y = self.norm_up(self.up(y), weights)
        return x + F.interpolate(y, scale_factor=2, mode="bilinear")


class TransformerNet(nn.Module):
    def __init__(self, styles, width, separable):
        super().__init__()
        quarter, half = 6 * width, 3 * width // 2
        self.down1 = nn.Conv2d(3, width, 5, 2, 2, padding_mode="reflect", bias=False)
        self.down2 = nn.Conv2d(width, quarter - 4, 3, 2, 1, padding_mode="reflect", bias=False)
        self.register_buffer("noise", torch.randn(1, 4, 128, 128))
        self.textures = nn.Parameter(torch.zeros(styles, 6 * 64 * 64))
        self.textured = nn.Conv2d(6, quarter, 1, bias=False)
        self.blocks = nn.ModuleList(Residual(styles, quarter, separable) for _ in range(5))
        self.coarse = Coarse(styles, quarter, separable)
        self.up1 = nn.Conv2d(quarter, half, 3, padding=1, padding_mode="replicate")
        self.detail = nn.Conv2d(half, half, 3, padding=1, padding_mode="reflect", bias=False)
        self.up2 = nn.Conv2d(half, 3, 5, padding=2, padding_mode="replicate")
        self.norms = nn.ModuleList(Conditional(styles, n) for n in (width, quarter - 4, half, half))

    def forward(self, x, weights):
        x = F.relu(self.norms[0](self.down1(x), weights))
        x = F.relu(self.norms[1](self.down2(x), weights))
        noise = self.noise[:, :, : x.shape[2], : x.shape[3]].to(x.dtype)
        x = torch.cat([x, noise.expand(len(x), -1, -1, -1)], 1)
        texture = F.pad(10 * (weights @ self.textures).reshape(-1, 6, 64, 64), (1, 1, 1, 1), mode="circular")
        texture = F.interpolate(texture, scale_factor=2, mode="bilinear")[:, :, 2 : 2 + x.shape[2], 2 : 2 + x.shape[3]]
        x = x + self.textured(texture.to(x.dtype))
        for i, block in enumerate(self.blocks):
            x = block(x, weights)
            if i == 2:
                x = self.coarse(x, weights)
        x = F.relu(self.norms[2](self.up1(F.interpolate(x, scale_factor=2, mode="nearest")), weights))
        x = F.relu(self.norms[3](self.detail(x), weights))
        return torch.tanh(self.up2(F.interpolate(x, scale_factor=2, mode="nearest")).float())


class VGG16(nn.Module):
    blocks = ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512))

    def __init__(self):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sizes, sizes[1:])) for sizes in self.blocks
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        self.register_buffer("mean", torch.tensor([103.939, 116.779, 123.68])[None, :, None, None])

    def forward(self, images, deepest=4):
        x, taps = images.flip(1) * 127.5 + (127.5 - self.mean), []
        for i, block in enumerate(self.convolutions[:deepest]):
            x = F.max_pool2d(x, 2) if i else x
            for convolution in block:
                x = F.relu(convolution(x))
            taps.append(x)
        return taps


def gram(x):
    rows = x.flatten(2)
    return (rows @ rows.transpose(1, 2)).float() / rows.shape[2]


def brightness(x):
    grey = torch.tensor([0.2989, 0.587, 0.114])[None, :, None, None]
    coarse = F.avg_pool2d((x * grey).sum(1, keepdim=True), 16)
    return coarse - coarse.mean((1, 2, 3), keepdim=True)


def checkerboard(x):
    grain = x[:, :, 2:-1, 2:-1] - F.avg_pool2d(x, 4, 1)
    squares = max(grain.shape[2] // 64, 1)
    cells = grain.shape[2] // (4 * squares)
    side = 4 * squares * cells
    means = grain[:, :, :side, :side].reshape(-1, 3, squares, cells, 4, squares, cells, 4).mean((3, 6))
    return (means - means.mean((3, 5), keepdim=True)).square().mean((1, 2, 3, 4, 5))


layout = torch.channels_last if options.channels_last else torch.contiguous_format
network = TransformerNet(options.styles, options.width, options.separable).to(memory_format=layout)
vgg = VGG16().requires_grad_(False).to(memory_format=layout)
optimizer = torch.optim.Adam(network.parameters(), 1e-3)
images = torch.rand(options.batch, 3, options.size, options.size).mul(2).sub(1).contiguous(memory_format=layout)
targets = [0.01 * torch.rand(options.styles, n, n) for n in (64, 128, 256, 512)]
autocast = torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bfloat16")


def step():
    weights = F.one_hot(torch.randint(options.styles, (options.batch,)), options.styles).float()
    with autocast:
        with torch.no_grad():
            content = vgg(images, 3)[2].float()
        pictures = network(images, weights)
        taps = vgg(pictures)
        grams = [gram(tap) for tap in taps]
    content_loss = (taps[2].float() - content).square().mean((1, 2, 3)) / (content.square().mean((1, 2, 3)) + 1e-3)
    wanted = [torch.einsum("bs,sij->bij", weights, target) for target in targets]
    relative = [
        (a - b).square().mean((1, 2)) / (b.square().mean((1, 2)) + 1e-3) for a, b in zip(grams, wanted)
    ]
    style = sum(relative) / len(relative)
    down, right = pictures.diff(dim=2).abs().mean(), pictures.diff(dim=3).abs().mean()
    a, b = brightness(pictures.float()), brightness(images)
    spread = (a.square().mean((1, 2, 3)) * b.square().mean((1, 2, 3)) + 1e-9).sqrt()
    tone = 1 - (a * b).mean((1, 2, 3)) / spread
    loss = content_loss + 5 * style + 0.3 * tone + 100 * checkerboard(pictures)
    loss = loss.mean() + 0.02 * (down + right)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss)


times = []
for _ in range(options.steps + 2):
    begin = time.perf_counter()
    step()
    times.append(time.perf_counter() - begin)
median = sorted(times[2:])[options.steps // 2]
print(
    json.dumps(
        {
            "peer": "torch" + (" channels_last" if options.channels_last else ""),
            "dtype": options.dtype,
            "batch": options.batch,
            "step_s": round(median, 4),
            "images_per_s": round(options.batch / median, 2),
        }
    )
)
