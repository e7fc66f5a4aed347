"""The matcher against the published formulation, on features of a 500x332 photo (125x83 cells).

    python benchmarks/matching.py

The published code compares 3x3 patches as vectors of 2304 numbers; here that is one matrix product, in blocks of LR
patches so that it fits into memory. Both run on the same backend, in turn, with 2 threads. Memory is the growth of
the process's peak.
"""

import argparse

import numpy as np
from timing import Worker, machine, peak_mebibytes, run_in_turn, seconds, serve

HEIGHT, WIDTH, CHANNELS = 83, 125, 256
FORMULATIONS = ("shifted sums", "patches")


def features() -> tuple[np.ndarray, np.ndarray]:
    """Two feature maps [1,83,125,256] of which one is the other, rolled, with noise."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal((1, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)
    second = np.roll(first, (5, 9), axis=(1, 2)) + rng.standard_normal(first.shape).astype(np.float32)
    return first, second


def by_patches(first: object, second: object, block: int = 1024) -> object:
    """Index of the best reference patch of each LR patch, by the product of patch vectors."""
    from keras import ops

    def patches(values):
        unit = values / ops.sqrt(ops.sum(ops.square(values), axis=-1, keepdims=True))
        rows, columns = HEIGHT - 2, WIDTH - 2
        shifted = [unit[0, i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
        return ops.reshape(ops.concatenate(shifted, axis=-1), (rows * columns, 9 * CHANNELS))

    query, reference = patches(first), ops.transpose(patches(second))
    starts = range(0, query.shape[0], block)
    return ops.concatenate([ops.argmax(query[start : start + block] @ reference, axis=-1) for start in starts])


def by_shifted_sums(first: object, second: object) -> object:
    """The same index by `c2m_tf.network.matching.match`."""
    from keras import ops

    from c2m_tf.network.matching import match

    matches, _ = match(first, second)
    return ops.reshape(matches[0, ..., 0] * (WIDTH - 2) + matches[0, ..., 1], (-1,))


def work(formulation: str) -> None:
    """Serves as a worker: times the formulation, compiled, and reports the growth of the process's memory."""
    import tensorflow as tf

    function = tf.function(by_shifted_sums if formulation == FORMULATIONS[0] else by_patches)
    first, second = (tf.constant(values) for values in features())
    tf.linalg.matmul(tf.ones((512, 512)), tf.ones((512, 512)))  # memory of the thread pools belongs to no formulation
    before = peak_mebibytes()
    serve(lambda: {"match": seconds(lambda: function(first, second).numpy()), "mebibytes": peak_mebibytes() - before})


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--worker", choices=FORMULATIONS, help="serve the other side of this script")
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
        return
    workers = [Worker(name, [__file__, "--worker", name]) for name in FORMULATIONS]
    run_in_turn(workers, options.rounds)
    ours, published = workers
    first, second = features()
    agree = np.mean(np.asarray(by_shifted_sums(first, second)) == np.asarray(by_patches(first, second)))
    print(f"{'formulation':<14}{'seconds':>9}{'MiB':>7}")
    for worker in workers:
        print(f"{worker.name:<14}{worker.median('match'):>9.3f}{worker.median('mebibytes'):>7.0f}")
        worker.stop()
    print(f"{published.median('match') / ours.median('match'):.1f}x as fast; {agree:.4%} of the indices agree")
    print(f"125x83 cells of 256 numbers, median of {options.rounds} rounds; {machine()}")


if __name__ == "__main__":
    main()
