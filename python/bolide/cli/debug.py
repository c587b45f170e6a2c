"""`bolide debug`: opens the debugger of a task that waits at breakpoint(), or after its exception.

It relays lines between this terminal and the worker (`bolide._debugger`). Thread safety: none is
needed.
"""

from __future__ import annotations

import socket
import sys
import threading

from .._debugger import waiting

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("pid", nargs="?", type=int, help="of the worker; needed if several wait")


def run(arguments: argparse.Namespace) -> int:
    """Connects, and relays until the debugger ends."""
    found = [entry for entry in waiting() if arguments.pid in (None, entry[0])]
    if not found:
        which = "" if arguments.pid is None else f" of pid {arguments.pid}"
        print(f"bolide: no task{which} waits for a debugger", file=sys.stderr)
        return 1
    if len({pid for pid, _ in found}) > 1:
        print("bolide: several tasks wait; give the pid of one:", file=sys.stderr)
        for pid, _ in found:
            print(f"  bolide debug {pid}", file=sys.stderr)
        return 1
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(found[0][1])
        reader = threading.Thread(target=_print_all, args=(connection,))
        reader.start()
        threading.Thread(target=_send_all, args=(connection,), daemon=True).start()
        reader.join()
    except OSError as error:
        print(f"bolide: the debugger of pid {found[0][0]} is gone ({error})", file=sys.stderr)
        return 1
    finally:
        connection.close()
    return 0


def _print_all(connection: socket.socket) -> None:
    """Prints what the debugger says until it ends."""
    while data := connection.recv(4096):
        sys.stdout.write(data.decode("utf-8", "replace"))
        sys.stdout.flush()


def _send_all(connection: socket.socket) -> None:
    """Sends what is typed; the end of it lets the task go."""
    try:
        for line in sys.stdin:
            connection.sendall(line.encode())
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the debugger has ended
