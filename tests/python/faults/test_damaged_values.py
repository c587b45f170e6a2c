"""Values whose bytes are damaged are an error, or another value, and never a crash.

The decoders of values are fuzzed here, in Python, since they make Python objects: valid encodings
are changed in places that a seed decides, and decoded in a process of their own, which may not die.
Inside a pickle nothing is changed: it is code, and whoever can write one can do what he likes.
"""

from __future__ import annotations

import pytest

PROGRAM = """
import random, struct, warnings
import numpy
from bolide import _hot, _system_errors

seed, runs = {seed}, {runs}
warnings.simplefilter("ignore")  # of dtypes by old names
ray.init(num_cpus=1)
whole = numpy.arange(40_000)
resident = ray.get(ray.put(whole))
values = [
    None, True, 7, -1.5, "text", "ü" * 3000, b"", b"bytes" * 500, bytearray(b"x" * 90),
    (1, (2.0, ("a",))), numpy.arange(12).reshape(3, 4), numpy.arange(12.0).reshape(3, 4).T,
    numpy.array(5), numpy.zeros(0), numpy.array(["2020-01-01"], dtype="datetime64[D]"),
    numpy.zeros(3, dtype=[("a", "<i4"), ("b", "S5")]),
    resident, resident[100:200], resident[::-2], [1, 2], {{"a": numpy.arange(3000)}},
]
refs = [ray.put(value) for value in values]
pool = [_hot.value_bytes(ref) for ref in refs]
PICKLE = pool[-2][0]  # of [1, 2]
errors = [struct.pack("<II", kind, 0) + b"0123456789abcdef sentence" for kind in range(24)]
WORDS = [0, 1, 255, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]

def mutated(chance, data):
    data = bytearray(data)
    # Of a pickle its description only, which says where it begins.
    most = min(len(data), 40) if data[:1] == bytes([PICKLE]) else len(data)
    for _ in range(chance.randrange(1, 5)):
        how = chance.randrange(4)
        at = chance.randrange(most) if most else 0
        if how == 0 and most:
            data[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            width = chance.choice([1, 2, 4, 8])
            word = chance.choice(WORDS) + chance.randrange(-3, 4)
            if at + width <= most:
                data[at : at + width] = (word % (1 << 8 * width)).to_bytes(width, "little")
        elif how == 2:
            del data[at + chance.randrange(1, 9) :]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        most = min(most, len(data))
        if data[:1] == bytes([PICKLE]):
            most = min(most, 5)
    return bytes(data)

def used(value):
    if isinstance(value, numpy.ndarray):
        value.tobytes()
        return value.dtype.hasobject
    if isinstance(value, (tuple, list)):
        return any([used(item) for item in value])
    return False

outcomes = {{"value": 0, "error": 0}}
for run in range(runs):
    chance = random.Random(seed * 1_000_000_007 + run)
    data = mutated(chance, chance.choice(pool))
    try:
        value = _hot.decode_copy(data, chance.random() < 0.5)
        assert not used(value) or data[:1] == bytes([PICKLE])
        outcomes["value"] += 1
    except Exception:
        outcomes["error"] += 1
    try:
        error = _system_errors.make(-1, mutated(chance, chance.choice(errors)))
        assert isinstance(error, Exception)
    except (struct.error, UnicodeDecodeError):
        pass
assert (ray.get(refs[10]) == values[10]).all() and (whole == resident).all()
say("outcomes", outcomes["value"], outcomes["error"])
"""


def decode_damaged(program, seed, runs):
    run = program(PROGRAM.format(seed=seed, runs=runs))
    values, errors = map(int, run.expect("outcomes", 3600).split())
    assert values + errors == runs and min(values, errors) > runs // 100
    code, _, err = run.finish()
    assert (code, err) == (0, "")
    print(f"{runs:,} damaged values: {errors:,} errors, {values:,} other values, no crash")


def test_damaged_values_never_crash(program):
    decode_damaged(program, 1, 20_000)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_ten_million_damaged_values_never_crash(program):
    decode_damaged(program, 2, 10_000_000)
