"""Keeps a state equal to what the server has: joins by a call, reads the state as of a position (the state cursor),
then applies the events after it. Events that come meanwhile are held back; a state older than the unbroken stream of
events is read again, and so it is after every reset. Rooms and the lists of rooms both live on this.

What is wanted (``wanted``, and leaves not carried out) is kept apart from what is under way: one task leaves, joins and
reads, one call at a time, until there is nothing left to do.
"""

from __future__ import annotations

import asyncio
from typing import Any, Dict, List, Optional, Tuple, TYPE_CHECKING

from ..errors import RoomwireError, error
from .bounds import MAX_HELD_EVENTS, MAX_STALE_STATES
from .topics import EventInfo, Listener, Position

if TYPE_CHECKING:
    from .core import Core


class Followed:
    """``join:<name>`` and ``leave:<name>`` are the calls, with ``input``."""

    name: str
    input: Dict[str, Any]

    @property
    def heard(self) -> bool:
        """Somebody hears its events, also those that another call than this subscribed to."""
        return False

    async def read(self, reply: Any) -> Any:
        """The state, with its positions."""
        return reply

    def apply(self, state: Any, missed: Optional[str]) -> None: ...

    def event(self, data: Any, info: EventInfo, included: bool) -> None:
        """``included``: the state held this event already."""

    def loading(self, missing: bool) -> None: ...

    def kept(self) -> None:
        """It goes on with what it has: the server neither left it nor read it again."""

    def left(self) -> None: ...

    def ended(self, problem: RoomwireError, before: bool) -> None:
        """The server ended it, or it cannot be brought back; not ``before``: it never began."""


class Follower(Listener):
    def __init__(self, core: "Core", topic: str, followed: Followed) -> None:
        self.topic = topic
        # The application wants it.
        self.wanted = False
        self._core = core
        self._followed = followed
        self._unlisten: Any = None
        self._task: "Optional[asyncio.Future[None]]" = None
        # The state is to be read: it was asked for, or events are missing.
        self._stale = False
        self._joins: "List[asyncio.Future[None]]" = []
        self._leaves: "List[asyncio.Future[None]]" = []
        # A leave that failed, or a join that came after it, is still to be made good.
        self._owing = False
        self._extra: Optional[Dict[str, Any]] = None
        # Grows whenever what is under way is wanted no more.
        self._turn = 0
        self._wake = asyncio.Event()
        # The load that runs has joined: a removal from here on is meant for it.
        self._joined = False
        # It is in it no more, whatever was known before: a join that is refused for a time leaves nothing to go on with.
        self._gone = False
        self._missed: Optional[str] = None
        self._held: Optional[List[Tuple[Any, EventInfo]]] = None
        # The state cursor: the state holds every event up to here.
        self._as_of: Optional[Position] = None
        # The application was told to read anew what came up to this offset: it gets no such event, however late.
        self._told = -1

    @property
    def joining(self) -> bool:
        """A join or reload is under way, or about to be."""
        return self.wanted and self._stale

    async def follow(self, extra: Optional[Dict[str, Any]] = None) -> None:
        """``extra``: what the join is asked with, beside the input."""
        self.wanted = self._stale = True
        self._extra = extra if extra is not None else self._extra
        self._wake.set()
        await self._wait(self._joins)

    def again(self, reason: str) -> None:
        """Reads the state again: events may be missing."""
        if self.wanted:
            self._missed = self._missed or reason
            self._stale = True
            self._start()

    async def leave(self) -> None:
        self._drop(error("cancelled"))
        await self._wait(self._leaves)

    def end(self, problem: RoomwireError) -> None:
        """Ends without a word to the server, which did or knows it."""
        self._owing = False
        self._wake.set()
        if not self.wanted:
            self._gone = True
            return
        before = self._as_of is not None
        self._drop(problem)
        self._forget()
        self._followed.ended(problem, before)
        self.listen()

    def listen(self) -> None:
        """Hears the topic while there is a reason to."""
        if self.wanted or self._task or self._followed.heard:
            if self._unlisten is None:
                self._unlisten = self._core.topics.listen(self.topic, self)
        elif self._unlisten is not None:
            stop, self._unlisten = self._unlisten, None
            stop()

    def event(self, data: Any, info: EventInfo) -> None:
        if self._held is None:
            self._hand_over(data, info)
            return
        self._held.append((data, info))
        if len(self._held) > MAX_HELD_EVENTS:
            self._held = []
            # What came before now does not count as read.
            topic = self._core.topics.get(self.topic)
            if topic:
                topic.since = topic.position
            self._missed = self._missed or "overrun"

    def reset(self, reason: str, position: Position) -> None:
        if self._held is not None:
            # What was held back came before: the state has it, or it is of an epoch that is over.
            self._held = []
        self.again(reason)

    def removed(self, problem: RoomwireError, lost: bool) -> None:
        owed, self._owing = self._owing, False
        if owed and not self.wanted:
            # A leave that was given up for late came to pass.
            self._forget()
            self._followed.left()
        elif lost and self.wanted:
            self.reset(problem.message, ("", 0))
        elif not self._task or not self._stale or self._joined:
            # Before the join it is the end of what was left or lost earlier.
            self.end(problem)
        else:
            self._gone = True

    async def _wait(self, waiters: "List[asyncio.Future[None]]") -> None:
        waiter: "asyncio.Future[None]" = asyncio.get_running_loop().create_future()
        waiters.append(waiter)
        self._start()
        await waiter

    def _drop(self, problem: RoomwireError) -> None:
        """Not wanted any more: who waits for the state waits in vain."""
        self.wanted = self._stale = False
        self._extra = None
        self._turn += 1
        self._wake.set()
        _refuse(self._joins, problem)
        self._core.requests.flush()

    def _forget(self) -> None:
        """What it has is of a stay that is over."""
        self._held = self._missed = self._as_of = None
        self._gone = False
        self._told = -1

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
            self.listen()

    async def _run(self) -> None:
        try:
            while True:
                self._joined = False
                if self._core.requests.over:
                    _refuse(self._leaves, error("disconnected"))
                    self.end(error("disconnected"))
                    break
                if self._leaves or (self._owing and not self.wanted):
                    await self._leave()
                elif self.wanted and self._stale:
                    await self._load()
                else:
                    break
        finally:
            self._task = None
            self.listen()

    async def _leave(self) -> None:
        leaves, self._leaves = self._leaves, []
        self._owing = False
        try:
            await self._core.call("leave:" + self._followed.name, self._followed.input, resend=True)
        except RoomwireError as problem:
            if problem.name not in ("not_member", "not_subscribed", "room_not_found"):
                _refuse(leaves, problem)
                if self.wanted or self._core.requests.over:
                    return
                if problem.is_temporary:
                    # Who left is told that it is not so yet; it is tried again all the same.
                    self._owing = True
                    await self._pause(1)
                else:
                    # It may not leave, and goes on to be in it.
                    self.wanted = self._as_of is not None
                    if self.wanted:
                        self._followed.kept()
                return
        self._forget()
        self._followed.left()
        if not self.wanted:
            # Those who asked meanwhile have what they asked for.
            leaves += self._leaves
            self._leaves.clear()
        _tell(leaves)

    async def _load(self) -> None:
        turn = self._turn
        if self._held is None:
            self._held = []
        self._followed.loading(self._missed is not None)
        attempt = 0
        while turn == self._turn:
            attempt += 1
            extra = self._extra
            welcome = self._core.connection.last_welcome
            try:
                state = await self._read(turn, extra)
                if turn != self._turn:
                    return
                if state is not None:
                    self._loaded(state)
                    return
                if attempt >= MAX_STALE_STATES:
                    problem = error("conflict", "the state is older than the events")
                    self._refuse(problem)
                    if not self._as_of:
                        self.end(problem)
                        return
            except (RoomwireError, OSError, ValueError) as problem:
                if turn != self._turn:
                    return
                # Asked meanwhile to create it.
                name = getattr(problem, "name", "")
                if name == "room_not_found" and extra is not self._extra:
                    continue
                self._refuse(problem)
                temporary = not isinstance(problem, RoomwireError) or problem.is_temporary
                if not self._as_of or self._gone or self._core.requests.over or not temporary:
                    joined = self._joined
                    self.end(problem if isinstance(problem, RoomwireError) else error("store_unavailable", str(problem)))
                    # Joined, or perhaps: the state could not be read, or an answer came too late or got lost.
                    self._owing = joined or name == "deadline" or welcome is not self._core.connection.last_welcome
                    return
                if self._missed is None:
                    self._stale = False
                    self._followed.kept()
                    self._release()
                    return
            await self._pause(attempt)
            self._joined = False

    async def _read(self, turn: int, extra: Optional[Dict[str, Any]]) -> Any:
        """None: a state that is older than the events."""

        def on_ack(_data: Any, late: bool) -> None:
            if not late:
                self._joined = self._joined or turn == self._turn
            elif not self.wanted:
                # It came to pass after all, and may not be wanted.
                self._owing = True
                self._start()

        name, arguments = self._followed.name, {**self._followed.input, **(extra or {})}
        reply = await self._core.call("join:" + name, arguments, resend=True, on_ack=on_ack)
        if turn != self._turn:
            return None
        state = await self._followed.read(reply)
        at = state["positions"].get(self.topic)
        topic = self._core.topics.get(self.topic)
        since = topic.since if topic else None
        return state if at and since and at[0] == since[0] and at[1] >= since[1] else None

    def _loaded(self, state: Any) -> None:
        missed, self._missed = self._missed, None
        self._stale = self._gone = False
        self._extra = None
        self._as_of = tuple(state["positions"][self.topic])
        if missed is not None:
            self._told = self._as_of[1]
        joins, self._joins = self._joins, []
        self._followed.apply(state, missed)
        self._release()
        _tell(joins)

    def _refuse(self, problem: BaseException) -> None:
        """Whoever asked is told; what is missing is read again without them."""
        self._extra = None
        _refuse(self._joins, problem)

    async def _pause(self, attempt: int) -> None:
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), self._core.settings.backoff.delay(attempt) / 1000)
        except asyncio.TimeoutError:
            pass

    def _release(self) -> None:
        held, self._held = self._held or [], None
        for data, info in held:
            self._hand_over(data, info)
        # Publishes may wait for the end of it.
        self._core.requests.flush()

    def _hand_over(self, data: Any, info: EventInfo) -> None:
        offset = info.offset
        if offset is None:
            self._followed.event(data, info, False)
        # The state may be ahead of the stream.
        elif offset > self._told:
            self._followed.event(data, info, self._as_of is not None and offset <= self._as_of[1])


def _refuse(waiters: "List[asyncio.Future[None]]", problem: BaseException) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(problem)
    waiters.clear()


def _tell(waiters: "List[asyncio.Future[None]]") -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
