"""Limits of the system: descriptors, processes, address space (RELIABILITY B1-17)."""

from __future__ import annotations

import os
import resource
import shutil

import pytest

FEW_DESCRIPTORS = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
ray.init(num_cpus=2)
f = ray.remote(lambda x: bytes(x))
assert [len(value) for value in ray.get([f.remote(i * 100) for i in range(200)])] == [
    i * 100 for i in range(200)
]

@ray.remote
def nested(depth):
    return 0 if depth == 0 else 1 + ray.get(nested.remote(depth - 1))

@ray.remote
def limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
try:
    say("nested", ray.get(nested.remote(30)))
except ray.exceptions.RayError as error:
    say("nested", type(error).__name__, str(error).replace("\\n", " "))
try:
    kept = [ray.get(ray.put(bytes([i]) * 2_000_000)) for i in range(100)]
    assert [value[5] for value in kept] == list(range(100))
    say("large", 100)
except ray.exceptions.RayError as error:
    say("large", type(error).__name__, str(error).replace("\\n", " "))
kept = None
say("limit", ray.get(limit.remote()))
say("usable", ray.get(f.remote(3)))
"""


@pytest.mark.timeout(120)
def test_b1_17_few_descriptors_with_a_higher_hard_limit(program):
    run = program(FEW_DESCRIPTORS.format(hard=4096))
    assert run.expect("nested", 60) == "30"
    assert run.expect("large", 60) == "100"
    assert run.expect("limit") == "64"
    run.expect("usable")
    code, _, err = run.finish()
    assert code == 0, err
    run.family_gone()


@pytest.mark.timeout(120)
def test_b1_17_few_descriptors_for_good(program):
    run = program(FEW_DESCRIPTORS.format(hard=64))
    for what in ("nested", "large"):
        said = run.expect(what, 60)
        assert said.isdigit() or (
            "Too many open files" in said and "Error" in said and "ulimit -n" in said
        ), said
        print(what, said)
    run.expect("limit")
    run.expect("usable")
    code, _, err = run.finish()
    assert code == 0, err
    run.family_gone()


def test_b1_17_too_few_descriptors_to_start(program):
    run = program(
        """
import resource
used = len(os.listdir("/proc/self/fd"))
for extra in range(0, 20):
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + extra, 4096))
    try:
        ray.init(num_cpus=1)
    except ray.exceptions.RaySystemError as error:
        assert "Too many open files" in str(error), error
        assert len(os.listdir("/proc/self/fd")) == used
        say("error", extra, error)
        continue
    try:
        say("works", extra, ray.get(ray.remote(lambda: 1).remote(), timeout=20))
    except ray.exceptions.RayError as error:
        say("late", extra, type(error).__name__, error)
    ray.shutdown()
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))
ray.init(num_cpus=1)
say("usable", ray.get(ray.remote(lambda: 1).remote()))
"""
    )
    assert run.expect("usable", 60) == "1"
    code, _, err = run.finish()
    assert code == 0, err
    print("".join(run.seen))
    assert any(line.startswith("error") for line in run.seen)


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None,
    reason="needs root and setpriv, to run as a user without other processes",
)
@pytest.mark.timeout(120)
def test_b1_17_fork_that_fails_names_the_limit(program, tmp_path):
    folder = "/tmp/" + tmp_path.name + str(os.getpid())
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    user = 54_321 + os.getpid() % 1000
    may_read = "+dac_read_search"  # the interpreter may lie where only root may look
    prefix = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
              f"--inh-caps={may_read}", f"--ambient-caps={may_read}")  # fmt: skip
    run = program(
        f"""
import resource
os.chdir({folder!r})
f = ray.remote(lambda: 1)
for limit in range(1, 7):
    resource.setrlimit(resource.RLIMIT_NPROC, (limit, 100))
    try:
        ray.init(num_cpus=2)
        say("works", limit, ray.get(f.remote(), timeout=30))
    except (ray.exceptions.RaySystemError, ray.exceptions.RuntimeEnvSetupError) as error:
        say("error", limit, type(error).__name__, str(error).replace("\\n", " "))
    finally:
        ray.shutdown()
resource.setrlimit(resource.RLIMIT_NPROC, (100, 100))
ray.init(num_cpus=2)
say("usable", ray.get(f.remote(), timeout=30))
""",
        prefix=prefix,
    )
    try:
        assert run.expect("usable", 100) == "1"
        errors = [line for line in run.seen if line.startswith("error")]
        print("".join(run.seen))
        assert errors
        for line in errors:
            assert "Resource temporarily unavailable" in line or "start new thread" in line, line
            assert "ulimit -u" in line, line
        assert run.finish()[0] == 0
    finally:
        run.end()
        shutil.rmtree(folder)


def test_b1_17_address_space_of_a_task(one):
    import bolide

    @bolide.remote
    def hungry():
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + (50 << 20), hard))
        try:
            return len(bytes(500 << 20))
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))

    with pytest.raises(MemoryError):
        one.get(hungry.remote(), timeout=30)
    assert one.get(bolide.remote(lambda: 1).remote(), timeout=30) == 1


def test_a_task_too_large_for_its_ring_fails_alone_when_there_is_no_memory_for_it(program):
    """10,000 references need memory of the store; without a descriptor there is none."""
    run = program(
        """
import resource
ray.init(num_cpus=1)
count = ray.remote(lambda *values: len(values))
assert ray.get(count.remote(1)) == 1
refs = [ray.put(i) for i in range(10_000)]
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
free = os.dup(0)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
lost = count.remote(*refs)
say("meanwhile", ray.get(count.remote(1, 2)))
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
try:
    say("got", ray.get(lost))
except ray.exceptions.ObjectStoreFullError as error:
    say("got", type(error).__name__, str(error).replace("\\n", " "))
say("afterwards", ray.get(count.remote(*refs)))
"""
    )
    assert run.expect("meanwhile", 60) == "2"
    said = run.expect("got")
    assert said.startswith("ObjectStoreFullError"), said
    assert "10000 references could not be sent to a worker" in said
    assert run.expect("afterwards", 60) == "10000"
    code, _, err = run.finish()
    assert code == 0, err
    run.family_gone()
