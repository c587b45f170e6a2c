"""What other users, other drivers and files on the disk get to see (SECURITY.md; RELIABILITY C).

There is nothing to attach to: memory and sockets have no names, nothing listens, and files of
spilled objects have no names either. What is left is /proc, which the kernel guards by user, and
core files.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys

import pytest
from fault_tools import processes_marked, wait_until

BUSY = """
import numpy

@ray.remote
class Keeper:
    def __init__(self, ref):
        self.kept = ray.get(ref[0])
    def make(self):
        self.made = ray.put(self.kept + 1)
        return self.made

ray.init(num_cpus=2, object_store_memory=48 << 20, object_spilling_directory=os.getcwd())
canary = ray.put(numpy.frombuffer(b"canary-of-the-store!" * 50_000, dtype=numpy.uint8))
keepers = [Keeper.remote([canary]) for _ in range(2)]
made = ray.get([keeper.make.remote() for keeper in keepers])
values = [ray.get(ref) for ref in made]
spilled = [ray.put(bytes(8 << 20)) for _ in range(12)]
say("running")
threading.Event().wait()
"""


@pytest.fixture
def family(program):
    """Pids of a driver with two actors, objects of all three and files of spilled ones."""
    run = program(BUSY)
    run.expect("running")
    pids = processes_marked(run.mark)
    assert len(pids) == 4  # the driver, the template, two workers
    return pids


def descriptors(pid):
    """(number, what it refers to) of each open descriptor."""
    folder = f"/proc/{pid}/fd"
    return [(number, os.readlink(f"{folder}/{number}")) for number in os.listdir(folder)]


def test_nothing_has_a_name_and_nothing_listens(family):
    with open("/proc/net/unix") as file:
        unix = {fields[6]: fields[7:] for fields in map(str.split, file) if len(fields) > 6}
    spill_files = 0
    for pid in family:
        for protocol in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"/proc/{pid}/net/{protocol}") as file:
                inet = {fields[9] for fields in map(str.split, list(file)[1:])}
            ours = {target[8:-1] for _, target in descriptors(pid) if target.startswith("socket:")}
            assert not ours & inet, protocol
        for number, target in descriptors(pid):
            if target.startswith("socket:["):
                assert unix[target[8:-1]] == [], "a socket with a name"
            elif target.startswith(("/memfd:bolide", "anon_inode:", "pipe:", "/dev/")):
                continue
            else:
                found = os.stat(f"/proc/{pid}/fd/{number}")
                assert found.st_nlink == 0, target
                assert stat.S_IMODE(found.st_mode) == 0o600, target
                spill_files += 1
    assert spill_files > 0


def test_the_store_is_left_out_of_core_files(family):
    mappings = 0
    for pid in family:
        with open(f"/proc/{pid}/smaps") as file:
            text = file.read()
        for head, flags in re.findall(
            r"^(\S+-\S+ .*memfd:bolide.*)$[^$]*?^VmFlags: (.*)$", text, re.M
        ):
            mappings += 1
            assert "dd" in flags.split(), head
            if " rw" in head:
                assert "dc" in flags.split(), f"a forked child could write: {head}"
    assert mappings > 8


ATTEMPTS = """
import os, sys
opened = []
for pid in sys.argv[1:]:
    names = [f"/proc/{pid}/mem", f"/proc/{pid}/environ", f"/proc/{pid}/maps", f"/proc/{pid}/fd"]
    names += [f"/proc/{pid}/fd/{n}" for n in range(64)]
    names += [f"/proc/{pid}/map_files"]
    for name in names:
        try:
            os.listdir(name) if name.endswith(("fd", "files")) else open(name, "rb").read(1)
        except PermissionError:
            pass
        except FileNotFoundError:
            pass
        else:
            opened.append(name)
    try:
        os.kill(int(pid), 0)
        opened.append(f"signal {pid}")
    except PermissionError:
        pass
print(opened)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_sees_nothing(family):
    def become_nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

    done = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", ATTEMPTS, *map(str, family)],
        capture_output=True,
        text=True,
        preexec_fn=become_nobody,
        env={"PATH": os.defpath},
        cwd="/",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_memory_of_another_driver_is_not_seen(program):
    first = program(BUSY)
    first.expect("running")
    first.end()
    second = program(
        """
import ctypes, numpy
ray.init(num_cpus=1, object_store_memory=48 << 20)
kept = [ray.put(numpy.zeros(1 << 20, dtype=numpy.uint8)) for _ in range(40)]
views = [ray.get(ref) for ref in kept]
with open("/proc/self/maps") as file:
    chunks = [line.split()[0] for line in file if "memfd:bolide-chunk" in line]
seen = 0
for chunk in chunks:
    begin, end = (int(part, 16) for part in chunk.split("-"))
    seen += end - begin
    assert b"canary-of-the-store!" not in ctypes.string_at(begin, end - begin)
say("seen", seen)
"""
    )
    assert int(second.expect("seen")) >= 40 << 20
    assert second.finish()[0] == 0


def test_programs_that_a_task_starts_inherit_no_descriptor(two):
    @two.remote
    def listed():
        # Not by subprocess, which closes what it finds.
        read, write = os.pipe()
        os.set_inheritable(write, True)
        code = f"import os; os.write({write}, ' '.join(os.listdir('/proc/self/fd')).encode())"
        pid = os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-c", code], os.environ)
        os.waitpid(pid, 0)
        return {int(n) for n in os.read(read, 1 << 16).split()} - {write}

    left = two.get(listed.remote())
    assert left <= {0, 1, 2, 3}, left  # 3: the folder that it lists


def test_the_template_and_workers_inherit_nothing_of_the_driver(start, tmp_path):
    path = tmp_path / "secret"
    path.write_text("secret")
    secret = os.open(path, os.O_RDONLY)
    os.set_inheritable(secret, True)  # as old programs leave them
    try:
        runtime = start(num_cpus=1)
        pid = runtime.get(runtime.remote(os.getpid).remote())
        template = runtime.node.template_pid()
        wait_until(lambda: template)
        for each in (pid, template):
            assert str(path) not in [target for _, target in descriptors(each)]
    finally:
        os.close(secret)
