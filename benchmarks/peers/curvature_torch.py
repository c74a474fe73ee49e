"""Curvature in PyTorch: `torch.func`'s Hessian-vector product, and Lanczos as PyHessian goes about it.

Usage: curvature_torch.py WEIGHTS.npz; prints one JSON line.
"""

import json
import sys
import time

import numpy as np
import torch
from torch import nn

torch.set_num_threads(2)


def network() -> nn.Sequential:
    """The network of benchmarks/curvature.py; its 5x5 convolutions of stride 2 pad by (1, 2)."""
    layers, channels = [], 1
    for filters in (32, 64, 128):
        pad = nn.ZeroPad2d((1, 2, 1, 2)) if channels != 64 else nn.ZeroPad2d(2)
        layers += [pad, nn.Conv2d(channels, filters, 5, 2), nn.LeakyReLU(0.2)]
        channels = filters
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 10))


def median_seconds(function, repeats: int, warm: bool = True) -> float:
    if warm:
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main(path: str, repeats: int, steps: int) -> None:
    given = np.load(path)
    model = network().to(memory_format=torch.channels_last)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            value = given[f"weight_{i}"]
            if value.ndim == 4:
                value = value.transpose(3, 2, 0, 1)
            elif value.ndim == 2:  # flattened in another order
                value = value.reshape(4, 4, 128, 10).transpose(3, 2, 0, 1).reshape(10, -1)
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    images = torch.from_numpy(given["images"].transpose(0, 3, 1, 2).copy())
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(given["labels"].astype("int64"))
    parameters = dict(model.named_parameters())
    vector = {name: torch.randn_like(p) for name, p in parameters.items()}

    def loss(values):
        return nn.functional.cross_entropy(torch.func.functional_call(model, values, (images,)), labels)

    detached = {name: p.detach() for name, p in parameters.items()}
    gradient = torch.func.grad(loss)

    def pass_back():
        torch.autograd.grad(loss(parameters), list(parameters.values()))

    def forward_over_reverse():
        torch.func.jvp(gradient, (detached,), (vector,))

    def reverse_over_reverse():
        torch.func.vjp(gradient, detached)[1](vector)

    def double_backward(direction):
        values = list(parameters.values())
        grads = torch.autograd.grad(loss(parameters), values, create_graph=True)
        return torch.autograd.grad(grads, values, grad_outputs=direction)

    def inner(a, b):
        return sum(torch.sum(x * y) for x, y in zip(a, b, strict=True))

    def lanczos():
        v = [torch.randn_like(p) for p in parameters.values()]
        size = torch.sqrt(inner(v, v))
        v = [x / size for x in v]
        basis, beta, previous = [v], None, None
        for step in range(steps):
            w = [x.detach() for x in double_backward(v)]
            alpha = inner(w, v)
            w = [x - alpha * y for x, y in zip(w, v, strict=True)]
            if step:
                w = [x - beta * y for x, y in zip(w, previous, strict=True)]
            for other in basis:
                c = inner(w, other)
                w = [x - c * y for x, y in zip(w, other, strict=True)]
            beta = torch.sqrt(inner(w, w))
            previous, v = v, [x / beta for x in w]
            basis.append(v)

    result = {
        "peer": "torch",
        "gradient_s": median_seconds(pass_back, repeats),
        "jvp_of_grad_s": median_seconds(forward_over_reverse, repeats),
        "vjp_of_grad_s": median_seconds(reverse_over_reverse, repeats),
        "lanczos_s": median_seconds(lanczos, 1, warm=False),
    }
    with torch.no_grad():
        result["loss"] = float(loss(parameters))
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
