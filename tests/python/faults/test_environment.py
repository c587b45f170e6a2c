"""Programs started in odd surroundings (RELIABILITY B2-20): they work, or say why not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """\
import bolide as ray

@ray.remote
def double(array):
    return array * 2

@ray.remote
class Counter:
    def __init__(self):
        self.n = 0
    def add(self):
        self.n += 1
        return self.n

def main():
    import numpy
    ray.init(num_cpus=2)
    total = int(ray.get(double.remote(numpy.arange(100_000))).sum())
    counter = Counter.remote()
    print(total, ray.get([counter.add.remote() for _ in range(3)]))
    ray.shutdown()

if __name__ == "__main__":
    main()
"""
SAID = "9999900000 [1, 2, 3]\n"


def run(path, *, flags=(), env=None, before=None, **options):
    """The program's (exit code, stdout, stderr)."""
    done = subprocess.run(
        [sys.executable, *flags, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(env or {})},
        preexec_fn=before,
        check=False,
        **options,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "program.py"
    made.write_text(PROGRAM)
    return made


@pytest.mark.parametrize(
    "flags", [["-O"], ["-OO"], ["-I"], ["-E"], ["-s"], ["-X", "utf8=0"], ["-X", "dev"], ["-B"]],
    ids=" ".join,
)  # fmt: skip
def test_b2_20_flags_of_the_interpreter(path, flags):
    assert run(path, flags=flags) == (0, SAID, "")


@pytest.mark.parametrize(
    "env",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONHASHSEED": "0"},
        {"PYTHONHASHSEED": "12345"},
        {"HOME": "/nonexistent", "TMPDIR": "/nonexistent"},
        {"PYTHONMALLOC": "debug"},
        {"TZ": "Pacific/Kiritimati"},
    ],
    ids=lambda env: " ".join(env),
)
def test_b2_20_variables_of_the_environment(path, env):
    assert run(path, env=env) == (0, SAID, "")


def test_b2_20_paths_with_spaces_and_other_letters(tmp_path):
    folder = tmp_path / "été à la plage – 夏"
    folder.mkdir()
    path = folder / "ein Programm.py"
    path.write_text(PROGRAM)
    assert run(path, cwd=folder) == (0, SAID, "")


def test_b2_20_a_zip_as_a_program(tmp_path):
    import zipfile

    path = tmp_path / "program.pyz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__main__.py", PROGRAM)
    assert run(path) == (0, SAID, "")


def test_b2_20_a_folder_that_nobody_may_write(path, tmp_path):
    tmp_path.chmod(0o500)
    try:
        assert run(path, cwd=tmp_path) == (0, SAID, "")
    finally:
        tmp_path.chmod(0o700)


def test_b2_20_a_folder_that_is_gone(path, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()

    def enter():
        os.chdir(folder)
        os.rmdir(folder)

    assert run(path, before=enter) == (0, SAID, "")


def forbid(number, error):
    """Makes a system call of this process and its children fail, for good (seccomp)."""
    import ctypes
    import struct

    load_number = struct.pack("HBBI", 0x20, 0, 0, 0)
    if_other_skip = struct.pack("HBBI", 0x15, 0, 1, number)
    fail = struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error)
    allow = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
    filters = ctypes.create_string_buffer(load_number + if_other_skip + fail + allow)
    program = struct.pack("HxxxxxxP", 4, ctypes.addressof(filters))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, by a filter


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls are x86-64's")
@pytest.mark.parametrize(
    ("name", "number"),
    [("memfd_create", 319), ("pidfd_open", 434), ("eventfd2", 290), ("socketpair", 53)],
)
def test_b2_20_a_system_call_that_is_forbidden(path, name, number):
    """As container sandboxes do: an error that names what cannot be done, and nothing stays."""
    code, out, err = run(path, before=lambda: forbid(number, 1))
    assert (code, out) == (1, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith("bolide.exceptions.RaySystemError: "), err
    assert "Operation not permitted" in last
    if name in ("memfd_create", "pidfd_open"):  # which container sandboxes do refuse
        assert last.endswith(
            f"This system refuses {name}, which bolide needs; allow it in the container's seccomp "
            "profile, or use Linux 5.4 or later"
        ), last
