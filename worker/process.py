"""Processes that end with the one that started them, even when that one is killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
LOOK_EVERY = 0.5
"""Seconds between two looks at the parent, where the kernel does not tell of its end."""


def tied(argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` so that it ends when the calling process does.

    On Linux the process becomes `argv` by exec; elsewhere it stays beside it, watches, and hands signals on.
    Start it from the main thread: for the kernel the parent is the thread.
    """
    return [sys.executable, "-I", "-S", str(Path(__file__).absolute()), str(os.getpid()), *argv]


def die_with_parent(parent: int | None = None) -> None:
    """Makes the calling process end as soon as the process that started it has ended.

    With `parent`, the id of that process, also when it has ended before this call.
    """
    parent = os.getppid() if parent is None else parent
    if sys.platform == "linux":
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    else:
        threading.Thread(target=_end_after, args=[parent], daemon=True).start()
    if os.getppid() != parent:  # it ended before we asked
        os.kill(os.getpid(), signal.SIGKILL)


def name_process(name: str) -> None:
    """Shows the calling process under that name in `ps`, in place of its command line; on Linux only."""
    if sys.platform != "linux":
        return
    import ctypes

    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    begin, end = int(stat[45]), int(stat[46])  # arg_start and arg_end of proc(5)
    if 0 < begin < end:
        ctypes.memmove(begin, name.encode()[: end - begin - 1].ljust(end - begin, b"\0"), end - begin)


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGKILL)


def accompany(parent: int, argv: Sequence[str]) -> int:
    """Runs `argv` beside this process, hands signals on to it and kills it when `parent` has ended.

    Gives its exit status, negative when a signal ended it.
    """
    child = subprocess.Popen(argv)  # noqa: S603 - the command line is our own
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: child.send_signal(number))
    while True:
        try:
            return child.wait(LOOK_EVERY)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                child.kill()


def _main(parent: int, argv: list[str]) -> None:
    if sys.platform == "linux":
        die_with_parent(parent)
        os.execv(argv[0], argv)  # noqa: S606 - the same
    sys.exit(accompany(parent, argv))


if __name__ == "__main__":
    _main(int(sys.argv[1]), sys.argv[2:])
