"""SIGINT and SIGTERM wait until a step is done and its state is saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from typing_extensions import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """While it is entered, the first of these signals is `received`, and waits for `act`.

    A second one acts at once. Signals that are ignored stay ignored, as do those of which Python
    does not know who handles them. In other threads than the main one, which cannot handle
    signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        try:
            if error is None:
                self.act()
        finally:
            self._restore()

    def act(self) -> None:
        """Do what the received signal does by itself; return where a handler of one's own does."""
        number, self.received = self.received, None
        if number is None:
            return
        if signal.getsignal(number) == signal.SIG_DFL:
            # It would end the process on the spot, with files and processes of ours left open.
            raise SystemExit(128 + number)
        signal.raise_signal(number)
        self._listen()

    def _listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        for number, handler in handlers.items():
            if handler not in (None, signal.SIG_IGN):
                self._handlers[number] = signal.signal(number, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}
