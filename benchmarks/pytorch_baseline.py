"""An equivalent network in PyTorch, to compare speed with: same layers, same sizes, same result.

    python benchmarks/pytorch_baseline.py        checks it against the golden numbers

The published code does not run without CUDA; this is written from the paper and the facts of the published networks the way
one would today: channels_last convolutions, the deformable convolution by grid_sample, matching by the published
formulation (one convolution with the reference's 3x3 patches as kernels).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from timing import THREADS, seconds, serve
from torch import nn
from torch.nn import functional

GROUPS, TAPS = 8, 9
GOLDEN = Path(__file__).parent.parent / "tests" / "golden"


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Stem(nn.Module):
    """VGG up to conv3_1; returns relu1_1, relu2_1 and conv3_1 before its ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        sizes = {"conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128), "conv2_2": (128, 128), "conv3_1": (128, 256)}
        self.model = nn.ModuleDict({name: convolution(*size) for name, size in sizes.items()})

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        first = functional.relu(self.model["conv1_1"]((image - self.mean) / self.std))
        features = functional.max_pool2d(functional.relu(self.model["conv1_2"](first)), 2)
        second = functional.relu(self.model["conv2_1"](features))
        features = functional.max_pool2d(functional.relu(self.model["conv2_2"](second)), 2)
        return first, second, self.model["conv3_1"](features)


class Deform(nn.Module):
    """Modulated deformable convolution by grid_sample, all taps of a group at once."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.conv_offset_mask = convolution(channels, 3 * GROUPS * TAPS)

    def forward(self, features: torch.Tensor, offset_features: torch.Tensor, pre_offset: torch.Tensor) -> torch.Tensor:
        _, channels, height, width = features.shape
        raw = self.conv_offset_mask(offset_features)
        points = GROUPS * TAPS
        offset = raw[:, : 2 * points].reshape(GROUPS, TAPS, 2, height, width) + pre_offset
        mask = torch.sigmoid(raw[:, 2 * points :]).reshape(GROUPS, 1, TAPS * height, width)
        tap = torch.arange(TAPS)
        y = offset[:, :, 0] + (tap // 3 - 1).view(1, TAPS, 1, 1) + torch.arange(height).view(1, 1, height, 1)
        x = offset[:, :, 1] + (tap % 3 - 1).view(1, TAPS, 1, 1) + torch.arange(width).view(1, 1, 1, width)
        grid = torch.stack([x * (2.0 / (width - 1)) - 1, y * (2.0 / (height - 1)) - 1], -1)
        grid = grid.reshape(GROUPS, TAPS * height, width, 2)
        grouped = features.contiguous().reshape(GROUPS, channels // GROUPS, height, width)
        sampled = functional.grid_sample(grouped, grid, align_corners=True) * mask
        columns = sampled.reshape(channels * TAPS, height * width)
        out = torch.addmm(self.bias[:, None], self.weight.reshape(-1, channels * TAPS), columns)
        return out.view(1, -1, height, width)


class Residual(nn.Module):
    """x + conv(ReLU(conv(x)))."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = convolution(64, 64), convolution(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(functional.relu(self.conv1(x)))


def blocks(count: int) -> nn.Sequential:
    """Residual blocks in a row."""
    return nn.Sequential(*[Residual() for _ in range(count)])


class Content(nn.Module):
    """First convolution and residual blocks on the LR photo."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_first, self.body = convolution(3, 64), blocks(16)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.body(functional.leaky_relu(self.conv_first(lr), 0.1))


class Restore(nn.Module):
    """The three levels, with the published names."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.levels = {"small": (256, 1, 16), "medium": (128, 2, 16), "large": (64, 4, 16)}
        if variant == "light":
            self.levels = {"small": (0, 1, 16), "medium": (128, 2, 8), "large": (64, 4, 4)}
        for level, (channels, _, count) in self.levels.items():
            if channels:
                self.add_module(f"{level}_offset_conv1", convolution(64 + channels, channels))
                self.add_module(f"{level}_offset_conv2", convolution(channels, channels))
                self.add_module(f"{level}_dyn_agg", Deform(channels))
            self.add_module(f"head_{level}", nn.Sequential(convolution(64 + channels, 64)))
            self.add_module(f"body_{level}", blocks(count))
        self.tail_small = nn.Sequential(convolution(64, 256))
        self.tail_medium = nn.Sequential(convolution(64, 256))
        self.tail_large = nn.Sequential(convolution(64, 32), nn.LeakyReLU(0.1), convolution(32, 3))

    def aggregate(self, level: str, x: torch.Tensor, reference: torch.Tensor, pre_offset: torch.Tensor) -> torch.Tensor:
        """Dynamic aggregation at one level."""
        features = torch.cat([x, reference], 1)
        for number in (1, 2):
            features = functional.leaky_relu(getattr(self, f"{level}_offset_conv{number}")(features), 0.1)
        return functional.leaky_relu(getattr(self, f"{level}_dyn_agg")(reference, features, pre_offset), 0.1)

    def forward(self, x: torch.Tensor, flow: torch.Tensor, references: dict[str, torch.Tensor]) -> torch.Tensor:
        for level, (channels, scale, _) in self.levels.items():
            inputs = x
            if channels:
                aggregated = self.aggregate(level, x, references[level], pre_offsets(flow, scale))
                inputs = torch.cat([x, aggregated], 1)
            features = functional.leaky_relu(getattr(self, f"head_{level}")(inputs), 0.1)
            x = getattr(self, f"body_{level}")(features) + x
            if level != "large":
                x = functional.leaky_relu(functional.pixel_shuffle(getattr(self, f"tail_{level}")(x), 2), 0.1)
        return self.tail_large(x)


class Network(nn.Module):
    """The whole: LR, its bicubic upsampling and the reference in, SR out; batch 1, equal sizes."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.feature_extraction_image1, self.feature_extraction_image2, self.vgg = Stem(), Stem(), Stem()
        self.content_extractor, self.dyn_agg_restore = Content(), Restore(variant)

    def forward(self, lr: torch.Tensor, up: torch.Tensor, ref: torch.Tensor) -> torch.Tensor:
        flow = match(self.feature_extraction_image1(up)[2], self.feature_extraction_image2(ref)[2])
        large, medium, small = self.vgg(ref)
        references = {"large": large, "medium": medium, "small": functional.relu(small)}
        sr = self.dyn_agg_restore(self.content_extractor(lr), flow, references)
        return sr + functional.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)


def match(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Flow [2,h,w] (dy, dx), by a convolution with the reference's patches as kernels, in blocks of 1024 kernels."""
    first, second = functional.normalize(first, dim=1), functional.normalize(second, dim=1)
    channels, height, width = first.shape[1:]
    rows, columns = height - 2, width - 2
    patches = functional.unfold(second, 3)[0].T.reshape(-1, channels, 3, 3)
    patches = (patches / (patches.flatten(1).norm(dim=1) + 1e-5).view(-1, 1, 1, 1)).contiguous(
        memory_format=torch.channels_last
    )
    first = first.contiguous(memory_format=torch.channels_last)
    best, index = torch.full((rows, columns), -torch.inf), torch.zeros((rows, columns), dtype=torch.long)
    for start in range(0, len(patches), 1024):
        values, indices = functional.conv2d(first, patches[start : start + 1024])[0].max(dim=0)
        better = values > best
        best, index = torch.where(better, values, best), torch.where(better, indices + start, index)
    dy = index // columns - torch.arange(rows).view(-1, 1)
    dx = index % columns - torch.arange(columns).view(1, -1)
    return functional.pad(torch.stack([dy, dx]).float(), (0, 2, 0, 2))


def pre_offsets(flow: torch.Tensor, scale: int) -> torch.Tensor:
    """[9,2,scale*h,scale*w]: the flow shifted for each tap, enlarged."""
    _, height, width = flow.shape
    padded = functional.pad(flow * scale, (2, 0, 2, 0))
    taps = [padded[:, 2 - i : 2 - i + height, 2 - j : 2 - j + width] for i in range(3) for j in range(3)]
    return torch.stack(taps).repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def golden_network(variant: str) -> Network:
    """The network with the golden weights."""
    import json

    sys.path.insert(0, str(GOLDEN))
    from recipe import golden_state

    keys = json.loads((GOLDEN / "keys.json").read_text())
    state = golden_state(keys["extractor"]) | golden_state(keys[f"restoration_{variant}"])
    for name, index in {"conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10}.items():
        for kind in ("weight", "bias"):
            state[f"vgg.model.{name}.{kind}"] = golden_state(keys["vgg19"])[f"features.{index}.{kind}"]
    network = Network(variant)
    tensors = {name: torch.from_numpy(np.asarray(array)) for name, array in state.items()}
    missing, unexpected = network.load_state_dict(tensors, strict=False)
    if unexpected or [name for name in missing if not name.startswith("vgg.") or "model" in name]:
        raise ValueError(f"golden weights do not fit: {missing} {unexpected}")
    return network.eval().to(memory_format=torch.channels_last)


def check() -> None:
    """Prints how far the network is from the golden outputs."""
    for variant in ("full", "light"):
        arrays = np.load(GOLDEN / f"{variant}.npz")
        inputs = [torch.from_numpy(arrays[name]).permute(2, 0, 1)[None] for name in ("lr", "lr_up", "ref")]
        with torch.inference_mode():
            sr = golden_network(variant)(*inputs)
        difference = np.abs(sr.permute(0, 2, 3, 1).numpy() - arrays["output"]).max()
        print(f"{variant}: largest difference from the golden output {difference:.1e}")


def main() -> None:
    """Checks the network, or serves it as a worker."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--worker", choices=("full", "light"), help="serve benchmarks/upscale.py")
    parser.add_argument("--photos", help=".npz with lr, lr_up and ref, for the worker")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    if options.worker is None:
        check()
        return
    network = golden_network(options.worker)
    arrays = np.load(options.photos)
    inputs = [
        torch.from_numpy(arrays[name]).permute(2, 0, 1)[None].contiguous(memory_format=torch.channels_last)
        for name in ("lr", "lr_up", "ref")
    ]

    def work() -> dict[str, float]:
        with torch.inference_mode():
            features = network.feature_extraction_image1(inputs[1])[2], network.feature_extraction_image2(inputs[2])[2]
            return {"whole": seconds(lambda: network(*inputs)), "matching": seconds(lambda: match(*features))}

    serve(work)


if __name__ == "__main__":
    main()
