"""Runs a command that ends when its parent does. A program of its own, with nothing imported but the standard library.

    python -I launch.py SIGNAL PARENT UID GID CAPABILITIES COMMAND...

Becomes another user first when UID is not ``-``, asks the kernel to send SIGNAL (a number) when the parent (PARENT, a
process id) is gone, SIGKILL included, and turns into COMMAND. It stands between because that request survives an exec
but not a fork or a change of user, and because a ``preexec_fn`` would run Python in a forked, threaded process.
"""

from __future__ import annotations

import ctypes
import os
import sys

_SET_PDEATHSIG, _SET_KEEPCAPS, _CAP_AMBIENT, _CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _become(uid: int, gid: int, capabilities: list[int]) -> None:
    """Becomes another user for good, keeping some capabilities (numbers below 32) across the change and the exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    if capabilities:
        libc.prctl(_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if capabilities:
        bits = sum(1 << capability for capability in capabilities)
        data = (_Data * 2)(_Data(bits, bits, bits), _Data(0, 0, 0))
        if libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(data)) == 0:
            for capability in capabilities:
                libc.prctl(_CAP_AMBIENT, _CAP_AMBIENT_RAISE, capability, 0, 0)


def main(arguments: list[str]) -> None:
    """Does what the module says; never returns."""
    signal, parent, uid, gid, capabilities, *command = arguments
    if uid != "-":
        _become(int(uid), int(gid), [] if capabilities == "-" else [int(number) for number in capabilities.split(",")])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, int(signal), 0, 0, 0)
    if os.getppid() != int(parent):  # it went before the kernel was asked
        os._exit(1)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
