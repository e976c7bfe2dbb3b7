"""Whose calls the processes of one worker are at: of several accounts each has one of them at a time.

So a platform that does not answer, or whose rate is used up, holds one process, and there is one for every
other account.
"""

import fcntl
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager


class Places:
    """A place for each account, shared with the processes that are forked from the one that made it.

    A byte of a nameless file stands for each. Its lock is a process's own, and ends with it, however it ends;
    its value says that somebody was turned away.
    """

    def __init__(self, accounts: Collection[str]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 it lasts as long as the worker
        self._bytes = {account: at for at, account in enumerate(accounts)} if len(accounts) > 1 else {}

    @contextmanager
    def taken(self, account: str) -> Iterator[bool]:
        """Whether this process has the account's place for the length of the block; it waits for nobody.
        Where there is but one account, every process has it."""
        at = self._bytes.get(account)
        if at is None:
            yield True
            return
        if not self._lock(at):
            os.pwrite(self._file.fileno(), b"\1", at)
            if not self._lock(at):  # so whoever has it sees the mark once he leaves
                yield False
                return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, at)

    def turned_away(self, account: str) -> bool:
        """Whether another process came for the place in vain since this was last asked."""
        at = self._bytes.get(account)
        marked = at is not None and os.pread(self._file.fileno(), 1, at) == b"\1"
        if marked and at is not None:
            os.pwrite(self._file.fileno(), b"\0", at)
        return marked

    def close(self) -> None:
        """Gives back what this process has."""
        self._file.close()

    def _lock(self, at: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, at)
        except (BlockingIOError, PermissionError):  # as the system has it
            return False
        return True
