"""Reports: means, gains, order of groups, figures that JSON cannot hold."""

import json

import numpy as np
import pytest

from c2m_tf.evaluation.evaluator import Evaluator, GroupResult
from c2m_tf.evaluation.groups import ResultsSystem
from c2m_tf.evaluation.metrics import FIGURES, PROTOCOLS, Case
from c2m_tf.evaluation.reports import as_json, comparison_sheet, make_report, table

EVALUATOR = Evaluator([ResultsSystem("ours", {}), ResultsSystem("theirs", {})], PROTOCOLS["plain"])
PSNR = {"a": (20.0, 22.0, 21.0), "b": (30.0, 31.0, 30.0), "c": (25.0, 28.0, 24.0)}
FIT = {"a": 0.4, "b": 0.9, "c": None}


def result(name, rng):
    photos = {system: rng.integers(0, 256, (60, 80, 3), np.uint8) for system in EVALUATOR.names}
    figures = {
        system: dict.fromkeys(FIGURES, 0.5) | {"psnr_y": value}
        for system, value in zip(EVALUATOR.names, PSNR[name], strict=True)
    }
    hr = rng.integers(0, 256, (60, 80, 3), np.uint8)
    return GroupResult(name, figures, FIT[name], [f"{name}_1.png"], Case(name, hr, hr[::4, ::4], [hr], hr), photos)


@pytest.fixture
def results(rng):
    return [result(name, rng) for name in PSNR]


def test_a_report_has_means_gains_and_intervals(results):
    report = make_report(EVALUATOR, results, "1")
    ours = report["systems"]["ours"]
    assert ours["mean"]["psnr_y"] == 27.0
    assert ours["mean"]["gain"] == 2.0
    assert ours["interval"]["gain"] == (1.0, 3.0)
    assert report["systems"]["theirs"]["mean"]["gain"] == 0.0
    assert report["systems"]["bicubic"]["mean"]["gain"] == 0.0
    assert json.loads(json.dumps(as_json(report)))["groups"][0]["figures"]["ours"]["psnr_y"] == 31.0


def test_groups_come_in_the_order_of_their_fit(results):
    assert [group["name"] for group in make_report(EVALUATOR, results, "1")["groups"]] == ["b", "a", "c"]


def test_a_table_shows_every_group_and_system(results):
    lines = table(make_report(EVALUATOR, results, "all"))
    assert lines[0].split() == ["group", "fit", "bicubic", "ours", "theirs", "(PSNR-Y", "in", "dB)"]
    assert lines[1].split() == ["b", "0.900", "30.00", "31.00", "30.00"]
    assert lines[3].split() == ["c", "-", "25.00", "28.00", "24.00"]
    ours = next(line for line in lines if line.startswith("ours"))
    assert ours.split() == ["ours", "27.00", "0.5000", "0.50", "+2.00", "[+1.00,", "+3.00]"]
    assert "Mean over 3 groups" in "\n".join(lines)
    assert "all references" in "\n".join(lines)
    assert str(PROTOCOLS["plain"]) in "\n".join(lines)


def test_equal_photos_have_no_finite_psnr_and_json_says_null(results):
    for system in EVALUATOR.names:
        results[0].figures[system]["psnr_y"] = float("inf")
    report = make_report(EVALUATOR, results[:1], "none")
    assert report["systems"]["ours"]["mean"]["gain"] == 0.0
    text = json.dumps(as_json(report), allow_nan=False)
    assert json.loads(text)["systems"]["ours"]["mean"]["psnr_y"] is None
    assert "inf" in "\n".join(table(report))


def test_a_sheet_has_a_row_per_system_and_a_column_per_chosen_group(results):
    three = comparison_sheet(results, "psnr_y")
    one = comparison_sheet(results[:1], "psnr_y")
    # HR photo with the cut, three systems, HR cut, reference: six rows.
    assert three.shape[0] == one.shape[0] == 8 + 6 * (260 + 22 + 8)
    assert three.shape[1] > 2.5 * one.shape[1]
