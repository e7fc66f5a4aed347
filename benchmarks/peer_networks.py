"""Single-image 4x networks in PyTorch to compare speed with, written from their papers; their weights are random."""

import torch
from pytorch_baseline import blocks, convolution
from torch import nn
from torch.nn import functional

WIDTH = 64
_GROWTH = 32


class DenseBlock(nn.Module):
    """Five convolutions, each over all that came before; a fifth of the result is added to the input."""

    def __init__(self) -> None:
        super().__init__()
        outputs = [_GROWTH] * 4 + [WIDTH]
        self.layers = nn.ModuleList(convolution(WIDTH + number * _GROWTH, size) for number, size in enumerate(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = [x]
        for layer in self.layers[:-1]:
            features.append(functional.leaky_relu(layer(torch.cat(features, 1)), 0.2))
        return x + 0.2 * self.layers[-1](torch.cat(features, 1))


class RRDB(nn.Module):
    """Residual in residual dense block: three dense blocks, a fifth of whose result is added to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(DenseBlock() for _ in range(3)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.2 * self.blocks(x)


class RRDBNet(nn.Module):
    """The generator of ESRGAN (Wang et al., 2018) and Real-ESRGAN: 23 blocks, 16,697,987 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = convolution(3, WIDTH), convolution(WIDTH, 3)
        self.body = nn.Sequential(*(RRDB() for _ in range(23)), convolution(WIDTH, WIDTH))
        self.up = nn.ModuleList(convolution(WIDTH, WIDTH) for _ in range(2))
        self.fine = convolution(WIDTH, WIDTH)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        features = self.first(lr)
        features = features + self.body(features)
        for layer in self.up:
            features = functional.leaky_relu(layer(functional.interpolate(features, scale_factor=2)), 0.2)
        return self.last(functional.leaky_relu(self.fine(features), 0.2))


class EDSRBaseline(nn.Module):
    """EDSR-baseline (Lim et al., 2017), 4x: 16 blocks, 1,517,571 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first = convolution(3, WIDTH)
        self.body = nn.Sequential(blocks(16), convolution(WIDTH, WIDTH))
        shuffles = [layer for _ in range(2) for layer in (convolution(WIDTH, 4 * WIDTH), nn.PixelShuffle(2))]
        self.tail = nn.Sequential(*shuffles, convolution(WIDTH, 3))

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        features = self.first(lr)
        return self.tail(features + self.body(features))
