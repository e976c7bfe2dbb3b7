"""Keeps the processes of `calltag up` running, and ends them in order."""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from select import select
from types import FrameType, TracebackType
from typing import NoReturn, Self

from cli.errors import UserError
from worker.process import die_with_parent, name_process, tied

STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before a part that ended is started again, by how often it ended shortly after its start."""
SHORTLY = 30.0
READY_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Part:
    """A process to be kept running: a program, or a function in a fork of the supervisor.

    A fork shares with the others what the supervisor has imported. The parts after it start once `ready`
    holds; without one, at once. After SIGTERM it has `grace` seconds to end. `hint` says where to look when
    it does not start.
    """

    name: str
    work: Sequence[str] | Callable[[], None]
    """A command line, or what the fork does."""
    ready: Callable[[], bool] | None = None
    grace: float = 10.0
    hint: str = ""


class Signals:
    """The signals that arrive while the block lasts; `wait` ends early for each, also for a child's end."""

    def __init__(self) -> None:
        self.stops = 0
        """How often somebody asked to stop."""

    def __enter__(self) -> Self:
        self._inbox, self._outbox = os.pipe()
        os.set_blocking(self._inbox, False)
        os.set_blocking(self._outbox, False)
        self._woken_before = signal.set_wakeup_fd(self._outbox, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _wake_only) for number in (*STOP, signal.SIGCHLD)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woken_before)
        os.close(self._inbox)
        os.close(self._outbox)

    def wait(self, seconds: float) -> None:
        readable, _, _ = select([self._inbox], [], [], max(seconds, 0))
        for number in os.read(self._inbox, 4096) if readable else b"":
            if number == signal.SIGHUP:  # a closed terminal may send it twice
                self.stops = max(self.stops, 1)
            elif number in STOP:
                self.stops += 1


def _wake_only(_number: int, _frame: FrameType | None) -> None:
    """The signal's number is in the pipe; nothing is done in the handler itself."""


class Running:
    """One part and the process that it is now."""

    def __init__(self, part: Part, say: Callable[[str], None]) -> None:
        self.part = part
        self._say = say
        self._short_lives = 0
        self.start()

    def start(self) -> None:
        self._started = time.monotonic()
        self._start_at: float | None = None
        work = self.part.work
        self.process = Fork(self.part.name, work) if callable(work) else _program(work)

    def look(self) -> float | None:
        """Starts the process again when it is time to; gives the seconds until then, None while it runs."""
        now = time.monotonic()
        if self._start_at is None:
            if (status := self.process.poll()) is None:
                return None
            self._short_lives = self._short_lives + 1 if now - self._started < SHORTLY else 1
            pause = PAUSES[min(self._short_lives, len(PAUSES)) - 1]
            self._start_at = now + pause
            self._say(f"{self.part.name} {_ending(status)}; starting it again in {pause:g} s")
        if now < self._start_at:
            return self._start_at - now
        self.start()
        return None

    def await_ready(self, signals: Signals) -> None:
        """Waits until the part is ready or somebody asks to stop; raises `UserError` when it will not be."""
        ready = self.part.ready or (lambda: True)
        deadline = self._started + READY_WITHIN
        while not signals.stops and not ready():
            if (status := self.process.poll()) is not None:
                raise UserError(f"{self.part.name} {_ending(status)} before it was ready{self.part.hint}")
            if time.monotonic() > deadline:
                raise UserError(f"{self.part.name} was not ready after {READY_WITHIN:g} s{self.part.hint}")
            signals.wait(0.02)

    def stop(self, signals: Signals) -> None:
        """Asks the process to end and waits; kills it after its grace, or when asked to stop once more."""
        if self.process.poll() is None:
            self.process.terminate()
        deadline = time.monotonic() + self.part.grace
        while self.process.poll() is None:
            if signals.stops > 1 or time.monotonic() > deadline:
                self._say(f"{self.part.name} has not ended yet and is killed")
                self.kill()
            signals.wait(deadline - time.monotonic())

    def kill(self) -> None:
        """Ends the process and what it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _program(argv: Sequence[str]) -> "subprocess.Popen[bytes]":
    """A process of its own group: a terminal's Ctrl-C is for the supervisor alone, which ends its parts in
    order."""
    return subprocess.Popen(tied(argv), stdin=subprocess.DEVNULL, process_group=0)  # noqa: S603 - our own


class Fork:
    """What a `Popen` is for a program, for a function in a fork of this process, which has one thread."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _become(name, work, parent)
        with suppress(OSError):  # it did so itself
            os.setpgid(self.pid, self.pid)
        self._status: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative when a signal ended it; None while it runs."""
        return self._status if self._status is not None else self._await(os.WNOHANG)

    def wait(self) -> int | None:
        return self._status if self._status is not None else self._await(0)

    def _await(self, how: int) -> int | None:
        pid, status = os.waitpid(self.pid, how)
        if pid:
            self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


def _become(name: str, work: Callable[[], None], parent: int) -> NoReturn:
    """What the fork is from its first moment to its last; nothing of the supervisor's goes on in it."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (*STOP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        die_with_parent(parent)
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        name_process(f"calltag {name}")
        status = _status(work)
    except BaseException:  # noqa: BLE001 it ends here, whatever it was
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _status(work: Callable[[], None]) -> int:
    try:
        work()
    except UserError as fault:
        print(f"calltag: {fault}", file=sys.stderr)
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _ending(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def supervise(parts: Sequence[Part], say: Callable[[str], None]) -> None:
    """Runs the parts until SIGINT, SIGTERM or SIGHUP; a part that ends is started again.

    They start in the given order and stop in the opposite one, each after the one before has ended; a second
    signal kills what is left. When this process is killed, they are too. Call it from the main thread. `say`
    takes one line for each thing that happens. Raises `UserError` when a part is not ready in time.
    """
    running: list[Running] = []
    with Signals() as signals:
        try:
            for part in parts:
                if signals.stops:
                    break
                running.append(Running(part, say))
                running[-1].await_ready(signals)
            while not signals.stops:
                waits = [wait for each in running if (wait := each.look()) is not None]
                signals.wait(min(waits, default=60.0))
        finally:
            for each in reversed(running):
                each.stop(signals)
