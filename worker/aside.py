"""Questions answered by a process of its own, which may cost so much time and memory and no more.

What people type can cost more than there is (a few kilobytes of patterns take gigabytes), and who types must
not take the receiver of webhooks along.
"""

import resource
import select
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import orjson

SECONDS = 10
"""For one answer; then the process is ended by its own alarm."""
MEMORY = 512 * 1024 * 1024
"""Bytes of data."""
IDLE = 60.0
"""Seconds without a question after which the process ends."""
MOST_WAITING = 6
"""People who may wait for an answer at once: each holds a thread of the web part."""
OTHERS = "others are trying rules at this moment; try again"
TOO_MUCH = 3
"""Its exit status where memory ended."""


class TooDear(Exception):
    """The answer took more than there is; one line."""


class Aside:
    """Asks one question at a time; the process is started when it is wanted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._process: subprocess.Popen[bytes] | None = None
        self.close: Callable[[], object] = lambda: None
        """Ends the process, whatever it does; the last that knows of this object does so too."""

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer (see `worker.trial.answer`). Raises `TooDear`, also where others keep it busy."""
        line = orjson.dumps(question) + b"\n"
        if not self._room.acquire(blocking=False):
            raise TooDear(OTHERS)
        try:
            answer: dict[str, Any] = orjson.loads(self._in_turn(line))
        finally:
            self._room.release()
        return answer

    def _in_turn(self, line: bytes) -> bytes:
        if not self._lock.acquire(timeout=SECONDS):
            raise TooDear(OTHERS)
        try:
            return self._exchange(line)
        finally:
            self._lock.release()

    def _exchange(self, line: bytes) -> bytes:
        for _ in range(2):  # the first may just have ended of idleness
            process = self._running()
            if answer := _told(process, line):
                return answer
            status = _ended(process)
            self.close()
            if status in (-signal.SIGALRM, -signal.SIGKILL, -signal.SIGABRT, TOO_MUCH):
                raise TooDear("these rules take more time or memory than there is to try them")
            if status:
                break
        raise RuntimeError(f"the process that tries rules ended with {status}; its error is above")

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self.close()
            argv = [sys.executable, "-P", "-m", "worker.aside"]
            self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
            self.close = weakref.finalize(self, _kill, self._process)
        return self._process


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    _ended(process)


def _told(process: "subprocess.Popen[bytes]", line: bytes) -> bytes:
    """The line that it answers, or none where it has ended."""
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    with suppress(BrokenPipeError):
        process.stdin.write(line)
        process.stdin.flush()
    return process.stdout.readline()


def _ended(process: "subprocess.Popen[bytes]") -> int:
    """Its exit status, once it has ended."""
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.stdout.close()
    return process.wait()


def main() -> None:
    """Answers questions, a line each, until there are no more."""
    from worker.trial import answer

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for who started it
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    while select.select([sys.stdin], [], [], IDLE)[0] and (line := sys.stdin.buffer.readline()):
        signal.alarm(SECONDS)
        try:
            found = orjson.dumps(answer(orjson.loads(line)))
        except MemoryError:
            sys.exit(TOO_MUCH)
        signal.alarm(0)
        sys.stdout.buffer.write(found + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
