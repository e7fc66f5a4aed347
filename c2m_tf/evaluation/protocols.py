"""Evaluation on a folder of HR photos and their references: PSNR and SSIM of SR beside bicubic.

Groups of photos come from `groups`. LR photos are made from HR by Pillow's bicubic. Two protocols:

    plain   LR from the HR photo, cropped to multiples of 4; references as they are, of any size
    paper   as the released code: photos of a group are padded with black at the bottom and right to one size before
            downsampling; the result is cropped back

Figures are taken on 8-bit photos within a border of 4 px; Y is unrounded BT.601 luma (see `metrics`).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from c2m_tf.evaluation import metrics
from c2m_tf.evaluation.groups import Group
from c2m_tf.photos import images
from c2m_tf.photos.sheets import Panel, sheet

if TYPE_CHECKING:
    from c2m_tf.upscaling.base import TiledUpscaler

PROTOCOLS = ("plain", "paper")
FIGURES = ("psnr_y", "ssim_y", "psnr_rgb", "bicubic_psnr_y", "bicubic_ssim_y")


class Result(NamedTuple):
    """One evaluated group: its figures (see FIGURES) and its photos, uint8."""

    name: str
    figures: dict
    hr: np.ndarray
    sr: np.ndarray
    bicubic: np.ndarray
    reference: np.ndarray


def evaluate_group(upscaler: "TiledUpscaler", group: Group, protocol: str = "plain") -> Result:
    """Downsamples a group's HR photo, upscales it again with the group's references and compares.

    Args:
        upscaler: `tiled.TiledUpscaler`.
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


def extremes_sheet(results: list[Result]) -> np.ndarray:
    """Sheet of the results of largest, middle and smallest gain over bicubic: bicubic, SR, HR and reference in a row each.

    Args:
        results: at least one.

    Returns:
        uint8 picture.
    """
    ordered = sorted(results, key=lambda result: result.figures["bicubic_psnr_y"] - result.figures["psnr_y"])
    chosen = {"best": ordered[0], "median": ordered[len(ordered) // 2], "worst": ordered[-1]}
    rows = []
    for rank, result in chosen.items():
        gain = result.figures["psnr_y"] - result.figures["bicubic_psnr_y"]
        rows.append(
            [
                Panel(f"{rank}: {result.name}, bicubic", result.bicubic),
                Panel(f"C2-Matching {result.figures['psnr_y']:.2f} dB ({gain:+.2f})", result.sr),
                Panel("HR", result.hr),
                Panel("reference", result.reference),
            ]
        )
    return sheet(rows)


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
