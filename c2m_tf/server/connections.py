"""Closes idle connections: uvicorn itself waits without limit for headers and for clients that do not read."""

import asyncio
import logging
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 512

logger = logging.getLogger("c2m_tf.server")


class TimedConnection(H11Protocol):
    """A connection that is closed after `idle_seconds` without progress.

    Timed are: a connection without a request, headers until they are complete, the rest of a body that was refused, and a
    response of which nothing is read. From complete headers on, a request to upscale has its own deadline (`gate.Gate`);
    between requests uvicorn's keep-alive timeout applies.
    """

    idle_seconds = 20.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_reading()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_reading()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_writing(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writing = _stopped(self._writing)

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP. uvicorn's answer would go beside that of a request which is being worked on."""
        client = self.client[0] if self.client else "-"
        logger.info("%s sends what is no HTTP, 400", client)
        answers = self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        if self.cycle is not None and not self.cycle.response_complete:
            answers = answers and not self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if answers:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reading, self._writing = _stopped(self._reading), _stopped(self._writing)
        super().connection_lost(exc)

    def _watch_reading(self):
        """Starts the timer when no request is being worked on."""
        working = self.cycle is not None and not self.cycle.response_complete
        between_requests = self.cycle is not None and self.conn.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE}
        if working or (between_requests and not self.conn.trailing_data[0]):
            self._reading = _stopped(self._reading)
        elif self._reading is None:
            self._reading = self.loop.call_later(self.idle_seconds, self.transport.abort)

    def _watch_writing(self, left):
        """Closes the connection if the client reads no byte of the remaining response in time."""
        self._writing = _stopped(self._writing)
        self._writing = self.loop.call_later(self.idle_seconds, self._check_writing, left)

    def _check_writing(self, left):
        now_left = self.transport.get_write_buffer_size()
        if now_left < left:
            self._watch_writing(now_left)
        else:
            self.transport.abort()


def _stopped(timer):
    if timer is not None:
        timer.cancel()
