"""The average of two networks of which one was trained on from the other, or both from a third.

Along the line between such networks the loss is low, so that an average keeps what both have learnt, and often does better than
either. Source: Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022) and "Model soups" (ICML 2022).
"""

from c2m_tf.network.model import C2Matching


def average(model: C2Matching, other: C2Matching, share: float = 0.5) -> C2Matching:
    """The network whose every weight is (1 - share) times that of one network and share times that of another.

    Args:
        model: C2Matching.
        other: C2Matching of the same arguments.
        share: of `other`, in [0, 1].

    Returns:
        A new C2Matching in float32.

    Raises:
        ValueError: networks of different kinds, or a share outside [0, 1].
    """
    theirs = other.arguments
    for name, value in model.arguments.items():
        if value != theirs[name]:
            raise ValueError(f"a network of {name} {value} and one of {theirs[name]} have no average; give two of one kind")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share is {share:g}; expected is a number from 0 (the first network) to 1 (the second)")
    averaged = model.like()
    pairs = zip(model.get_weights(), other.get_weights(), strict=True)
    averaged.set_weights([(1 - share) * first + share * second for first, second in pairs])
    return averaged
