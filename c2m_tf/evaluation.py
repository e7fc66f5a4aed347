"""Evaluation on a folder of HR photos and their references: PSNR and SSIM of SR beside bicubic.

Naming is CUFED5's: NNN_0.png is the HR photo of group NNN, NNN_1.png, NNN_2.png, ... are its references, best first. LR
photos are made from HR by Pillow's bicubic. Two protocols:

    plain   LR from the HR photo, cropped to multiples of 4; references as they are, of any size
    paper   as the released code: photos of a group are padded with black at the bottom and right to one size before
            downsampling; the result is cropped back

Figures are taken on 8-bit photos within a border of 4 px; Y is unrounded BT.601 luma (see `metrics`).
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from c2m_tf import images, metrics

if TYPE_CHECKING:
    from c2m_tf.upscaler import Upscaler

PROTOCOLS = ("plain", "paper")
REFERENCES = ("1", "all", "none", "shuffled")
FIGURES = ("psnr_y", "ssim_y", "psnr_rgb", "bicubic_psnr_y", "bicubic_ssim_y")


class Group(NamedTuple):
    """An HR photo and its references, best first."""

    name: str
    hr: Path
    references: list[Path]


class Result(NamedTuple):
    """One evaluated group: its figures (see FIGURES) and its photos, uint8."""

    name: str
    figures: dict
    hr: np.ndarray
    sr: np.ndarray
    bicubic: np.ndarray
    reference: np.ndarray


def find_groups(folder: str | os.PathLike) -> list[Group]:
    """Groups of a folder named NNN_0, NNN_1, ..., in order of their names.

    Raises:
        ValueError: no folder, no group in it, or groups without an HR photo or without a reference (all are named).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; give one with pairs NNN_0.png (HR), NNN_1.png (reference)")
    members = {}
    for path in sorted(folder.iterdir()):
        found = re.fullmatch(r"(.+)_(\d+)", path.stem)
        if found and path.suffix.lower() in images.SUFFIXES:
            name, position = found[1], int(found[2])
            if position in members.setdefault(name, {}):
                raise ValueError(f"{members[name][position].name} and {path.name} have one name; keep one of them")
            members[name][position] = path
    if not members:
        raise ValueError(f"{folder} holds no pairs; wanted are NNN_0.png (HR) and NNN_1.png (reference)")
    lacking = [name for name, paths in members.items() if 0 not in paths or len(paths) < 2]
    if lacking:
        raise ValueError(f"{folder}: {', '.join(lacking)} lacks its HR photo _0 or a reference _1")
    return [
        Group(name, paths[0], [paths[position] for position in sorted(paths) if position > 0])
        for name, paths in sorted(members.items())
    ]


def with_references(groups: list[Group], references: str) -> list[Group]:
    """The groups with the references that an evaluation is to use.

    Args:
        groups: of `find_groups`.
        references: one of `REFERENCES`: "1" the first, "all" all of them, "none" no reference at all (the LR photo then
            serves as its own), "shuffled" the first reference of the next group, which shows something else.

    Raises:
        ValueError: unknown word, or a single group to shuffle.
    """
    if references == "shuffled":
        if len(groups) < 2:
            raise ValueError("references can be shuffled between two groups or more; this folder has one")
        lent = [[group.references[0]] for group in [*groups[1:], groups[0]]]
    elif references in REFERENCES:
        kept = {"1": 1, "all": None, "none": 0}[references]
        lent = [group.references[:kept] for group in groups]
    else:
        raise ValueError(f"unknown references {references!r}; choose one of {', '.join(REFERENCES)}")
    return [group._replace(references=chosen) for group, chosen in zip(groups, lent, strict=True)]


def evaluate_group(upscaler: "Upscaler", group: Group, protocol: str = "plain") -> Result:
    """Downsamples a group's HR photo, upscales it again with the group's references and compares.

    Args:
        upscaler: `upscaler.Upscaler`.
        group: Group; with no references, the LR photo is its own.
        protocol: "plain" or "paper", see the module.

    Returns:
        Result.

    Raises:
        ValueError: photos that cannot be read or used (`images.ImageError` is one), unknown protocol.
    """
    hr = images.crop_to_multiple(_read(group.hr))
    refs = [_read(path) for path in group.references] or [images.downsample(hr)]
    height, width = hr.shape[:2]
    padded = hr
    if protocol == "paper":
        refs = [images.crop_to_multiple(ref) for ref in refs]
        padded, *refs = _padded_to_one_size([hr, *refs])
    elif protocol != "plain":
        raise ValueError(f"unknown protocol {protocol!r}; choose one of {', '.join(PROTOCOLS)}")
    lr = images.downsample(padded)
    sr = images.as_uint8(upscaler.upscale(lr, refs))[:height, :width]
    bicubic = images.upsample(lr)[:height, :width]
    return Result(group.name, compare(hr, sr, bicubic), hr, sr, bicubic, refs[0])


def compare(hr: np.ndarray, sr: np.ndarray, bicubic: np.ndarray) -> dict[str, float]:
    """The figures of one photo (see FIGURES); all three uint8 [H,W,3]."""
    hr_y, sr_y, bicubic_y = metrics.luma(hr), metrics.luma(sr), metrics.luma(bicubic)
    return {
        "psnr_y": metrics.psnr(hr_y, sr_y),
        "ssim_y": metrics.ssim(hr_y, sr_y),
        "psnr_rgb": metrics.psnr(hr, sr),
        "bicubic_psnr_y": metrics.psnr(hr_y, bicubic_y),
        "bicubic_ssim_y": metrics.ssim(hr_y, bicubic_y),
    }


def summary(results: list[tuple[str, dict]], protocol_line: str) -> dict:
    """The report as it is written to JSON.

    Args:
        results: list of (name, figures).
        protocol_line: text that says how the figures were made.

    Returns:
        {"protocol": ..., "mean": {figure: mean over photos}, "images": [{"name": ..., figures}]}.
    """
    mean = {figure: float(np.mean([figures[figure] for _, figures in results])) for figure in FIGURES}
    listed = [{"name": name, **figures} for name, figures in results]
    return {"protocol": protocol_line, "mean": mean, "images": listed}


def protocol_line(protocol: str, references: str, model: str) -> str:
    """One sentence that belongs beside every table."""
    which = {
        "1": "first reference",
        "all": "all references",
        "none": "no reference (the LR photo itself)",
        "shuffled": "first reference of the next group",
    }[references]
    padding = "padded to one size with black before downsampling" if protocol == "paper" else "no padding"
    return (
        f"{protocol} protocol, {which}, {padding}; LR by Pillow bicubic /4; 8-bit SR, border {metrics.BORDER} px, "
        f"Y unrounded BT.601; model {model}"
    )


def table(report: dict) -> list[str]:
    """The report as lines of text."""
    lines = [f"{'photo':<16}{'bicubic PSNR':>14}{'SSIM':>8}{'C2M PSNR':>12}{'SSIM':>8}{'gain':>8}{'RGB PSNR':>11}"]
    rows = [*report["images"], {"name": "mean", **report["mean"]}]
    for row in rows:
        gain = row["psnr_y"] - row["bicubic_psnr_y"]
        lines.append(
            f"{row['name'][:15]:<16}{row['bicubic_psnr_y']:>14.2f}{row['bicubic_ssim_y']:>8.4f}"
            f"{row['psnr_y']:>12.2f}{row['ssim_y']:>8.4f}{gain:>+8.2f}{row['psnr_rgb']:>11.2f}"
        )
    lines.append(f"PSNR in dB and SSIM on Y. {report['protocol']}")
    return lines


def _read(path):
    return images.as_uint8(images.read(path).rgb)


def _padded_to_one_size(photos):
    height = max(photo.shape[0] for photo in photos)
    width = max(photo.shape[1] for photo in photos)
    return [np.pad(photo, ((0, height - photo.shape[0]), (0, width - photo.shape[1]), (0, 0))) for photo in photos]
