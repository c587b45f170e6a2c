"""What pip says and installs, as far as it can be told without another machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bolide

ROOT = Path(__file__).resolve().parents[3]
SENTENCE = (
    "bolide needs Linux (memfd, futex and pidfd); on macOS and Windows run it in a Linux container "
    "or virtual machine."
)


@pytest.mark.dev
@pytest.mark.parametrize("platform", ["darwin", "win32"])
@pytest.mark.parametrize("hook", ["prepare_metadata_for_build_wheel", "build_wheel"])
def test_elsewhere_than_on_linux_one_sentence_says_so(platform, hook, tmp_path):
    """The build backend as pip calls it, where sys.platform is another."""
    pytest.importorskip(
        "scikit_build_core", reason="needs scikit-build-core (pip install '.[dev]')"
    )
    program = (
        "import shutil, sys\n"  # shutil imports what there is on sys.platform
        "from scikit_build_core import build\n"
        f"sys.platform = {platform!r}\n"
        "assert build.get_requires_for_build_wheel() == []\n"
        f"build.{hook}({str(tmp_path)!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 7, done
    assert done.stderr == ""
    assert done.stdout.strip() == SENTENCE
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("system", ["Windows", "Darwin"])
def test_cmake_alone_says_it_before_it_looks_for_a_compiler(system, tmp_path):
    cmake = pytest.importorskip("cmake", reason="needs CMake (pip install '.[test]')")
    command = os.path.join(cmake.CMAKE_BIN_DIR, "cmake")
    done = subprocess.run(
        [command, "-S", str(ROOT), "-B", str(tmp_path), f"-DCMAKE_SYSTEM_NAME={system}"],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "CXX": "none"},
    )  # fmt: skip
    said = " ".join(done.stderr.split())
    assert done.returncode != 0
    assert f"bolide needs Linux (memfd, futex and pidfd); on {system} run it in a Linux" in said
    assert "none" not in said


def test_both_extension_modules_share_one_private_copy_of_the_core():
    """A symbol or a table that there were two of would be two runtimes in one process."""
    bolide.is_initialized()
    from bolide import _core, _hot

    folder = os.path.dirname(_core.__file__)
    assert os.path.dirname(_hot.__file__) == folder
    maps = Path("/proc/self/maps").read_text()
    copies = set(re.findall(r"/\S*libbolide_core\S*", maps))
    assert copies == {f"{folder}/libbolide_core.so"}


def test_what_is_installed_needs_cloudpickle_and_numpy_only():
    from importlib.metadata import requires

    needed = [line for line in requires("bolide") if "extra ==" not in line]
    assert sorted(re.match(r"[\w-]+", line)[0] for line in needed) == ["cloudpickle", "numpy"]
