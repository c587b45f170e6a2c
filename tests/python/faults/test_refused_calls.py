"""A sandbox that refuses system calls which shared memory and death notices need: one sentence."""

from __future__ import annotations

import platform

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the numbers of system calls are those of x86_64"
)

CALLS = {"memfd_create": 319, "pidfd_open": 434}

# A seccomp filter in classic BPF: load the number of the call; if it is that one, answer EPERM.
REFUSE = """
import ctypes, struct

def refuse(number):
    code = struct.pack("HBBI" * 4,
        0x20, 0, 0, 0,
        0x15, 0, 1, number,
        0x06, 0, 0, 0x00050001,
        0x06, 0, 0, 0x7FFF0000)
    kept = ctypes.create_string_buffer(code)
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    program = Program(4, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()
"""

BODY = """
import bolide
refuse({number})
try:
    bolide.init(num_cpus=1)
    print("WORKS")
except Exception as error:
    print("ERROR", type(error).__name__, error)
assert not bolide.is_initialized()
"""


@pytest.mark.parametrize("call", CALLS)
def test_refused(program, call):
    driver = program(REFUSE + BODY.format(number=CALLS[call]))
    code, out, err = driver.finish(60)
    assert code == 0, (out, err)
    assert "Traceback" not in err
    assert out.startswith("ERROR RaySystemError System error: cannot ")
    assert f"This system refuses {call}, which bolide needs; allow it in the container's" in out
    driver.family_gone()
