"""Random damage to files: whatever is read of it, or refused in one sentence that names the file."""

import numpy as np


def mutated(original, random, pieces=(b"\x00", b"\xff" * 4, b"\x7f\xff\xff\xff")):
    """The bytes with some of them changed, left out, repeated, or cut, and `pieces` between; often near the start.

    Args:
        original: bytes.
        random: np.random.RandomState.
        pieces: what the format treats specially.
    """
    changed = bytearray(original)
    for _ in range(random.randint(1, 7)):
        near = random.randint(2) and min(len(changed), 200)  # where headers are
        place, kind = random.randint((near or len(changed)) + 1), random.randint(6)
        if kind <= 1:
            changed[place : place + 1] = bytes([random.randint(256)])
        elif kind == 2:
            del changed[place : place + random.randint(1, 40)]
        elif kind == 3:
            changed[place:place] = pieces[random.randint(len(pieces))]
        elif kind == 4:
            start = random.randint(len(changed) + 1)
            changed[place:place] = changed[start : start + random.randint(1, 60)]
        elif random.randint(3) == 0:
            del changed[place:]
    return bytes(changed)


def check_damaged(path, read, error, number, *, name=None, seed=0, **options):
    """Reads a file so often, each time damaged; what is not read ends in `error`, which names the file.

    Args:
        path: of the file, whole; it is damaged afterwards.
        read: called with the path.
        error: exception that is expected.
        number: of damaged files.
        name: of the file in messages; by default its path.
        options: of `mutated`.
    """
    whole, random, refused = path.read_bytes(), np.random.RandomState(seed), 0
    for _ in range(number):
        path.write_bytes(mutated(whole, random, **options))
        try:
            read(path)
        except error as refusal:
            refused += 1
            assert (name or str(path)) in str(refusal)
            assert "\n" not in str(refusal)
    assert refused > 0
