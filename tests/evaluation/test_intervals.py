"""Bootstrap intervals cover the mean as often as they state."""

import numpy as np

from c2m_tf.evaluation.reports import bootstrap_interval


def test_an_interval_covers_the_mean_as_often_as_it_says():
    random = np.random.default_rng(1)
    samples = random.normal(3.0, 1.0, (200, 20))
    covered = [low <= 3.0 <= high for low, high in map(bootstrap_interval, samples)]
    assert 0.87 < np.mean(covered) < 0.98


def test_intervals_of_few_or_odd_values():
    assert bootstrap_interval([1.0]) is None
    assert bootstrap_interval([1.0, float("nan")]) is None
    assert bootstrap_interval([2.0, 2.0, 2.0]) == (2.0, 2.0)
    assert bootstrap_interval([1.0, 2.0, 4.0]) == bootstrap_interval([1.0, 2.0, 4.0])
    assert bootstrap_interval([float("inf"), float("inf")]) == (float("inf"), float("inf"))
