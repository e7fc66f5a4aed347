"""Learning rates of groups of variables, and schedules, are those that recipes state."""

import keras
import numpy as np
from c2m_tf.training.optimizers import GroupedAdam, Schedule

from c2m_tf import C2Matching


def test_groups_of_variables_have_their_own_learning_rates():
    variables = {name: keras.Variable(np.ones(3), name=name) for name in ("head", "small_offset", "medium_offset")}
    optimizer = GroupedAdam(0.1, factors={"small_offset": 0.01, "medium_offset": 0.0})
    gradients = [np.ones(3, np.float32)] * 3
    optimizer.apply(gradients, list(variables.values()))
    moved = {name: float(1.0 - keras.ops.convert_to_numpy(variable)[0]) for name, variable in variables.items()}
    np.testing.assert_allclose(moved["head"], 0.1, rtol=1e-4)
    np.testing.assert_allclose(moved["small_offset"], 0.001, rtol=1e-4)
    assert moved["medium_offset"] == 0
    assert GroupedAdam.from_config(optimizer.get_config()).factors == optimizer.factors


def test_published_factors_name_the_offset_branches_of_each_level():
    network = C2Matching.full()
    optimizer = GroupedAdam(1e-4, factors={"small_offset": 0.01, "small_dyn_agg_conv_offset": 0.01, "medium_offset": 0.1,
                                           "medium_dyn_agg_conv_offset": 0.1})  # fmt: skip
    counts = {}
    for variable in network.restoration.trainable_variables:
        factor = optimizer.factor_of(variable.path)
        counts[factor] = counts.get(factor, 0) + int(np.prod(variable.shape))
    # The released code's groups: small 1e-6, medium 1e-5; its third, large 1e-4, has the rate of all the rest.
    assert counts == {0.01: 1_825_496, 0.1: 617_944, 1.0: 235_352 + 6_186_755}


def test_schedule_warms_up_decays_and_takes_milestones_as_published():
    rates = [float(Schedule(1.0, 100, warmup=4, cosine_from=0.5)(step)) for step in range(101)]
    np.testing.assert_allclose(rates[:5], [0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates[50] == 1.0
    np.testing.assert_allclose(rates[75], 0.5, atol=1e-6)
    np.testing.assert_allclose(rates[100], 0.0, atol=1e-6)
    # A milestone m takes effect at iteration m + 1, which follows m finished ones.
    milestones = [float(Schedule(1.0, 100, milestones=[10, 20])(step)) for step in (9, 10, 20)]
    np.testing.assert_allclose(milestones, [1.0, 0.1, 0.01])
    schedule = Schedule(0.3, 50, 2, 0.4, (7,))
    assert Schedule.from_config(schedule.get_config()).get_config() == schedule.get_config()
