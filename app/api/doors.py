"""The routes of the API: a checked body in, a session asked, JSON out."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from app.api import stream
from app.api.bodies import ANSWERS, HINTS, Advance, AnswerBody, Begin, Close, HintBody, checked
from app.api.guard import body, refusal
from app.api.refusals import NotHere, Refused, TooMany
from app.api.session import MOST_SAID, Session
from app.api.sessions import Sessions

# Requests that work or wait have threads of their own, so that they never take those of the console.
_THREADS: Final = ThreadPoolExecutor(8, thread_name_prefix="api")
_PAGE: Final = 1000
_PAGE_MOST: Final = 10_000
Work = Callable[[], Any]


def doors(sessions: Sessions) -> Starlette:
    """Return the routes over some sessions."""
    door = _Doors(sessions)
    one = "/sessions/{session_id}"
    routes = [
        Route("/sessions", door.begin, methods=["POST"]),
        Route("/sessions", door.list, methods=["GET"]),
        Route(one, door.state, methods=["GET"]),
        Route(f"{one}/advance", door.advance, methods=["POST"]),
        Route(f"{one}/hints", door.hints, methods=["POST"]),
        Route(f"{one}/hints", door.heard, methods=["GET"]),
        Route(f"{one}/answers", door.answers, methods=["POST"]),
        Route(f"{one}/notices", door.notices, methods=["GET"]),
        Route(f"{one}/notices/stream", door.stream, methods=["GET"]),
        Route(f"{one}/grants", door.grants, methods=["GET"]),
        Route(f"{one}/close", door.close, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={Refused: _refused, HTTPException: _http, ValueError: _invalid, OSError: _disk})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = {404: "there is nothing here", 405: f"{request.method} is not answered here"}.get(error.status_code, str(error.detail))
    return refusal(Refused(error.status_code, f"{told}; see docs/api.md"))


async def _invalid(request: Request, error: Exception) -> Response:
    return refusal(Refused(422, " ".join(str(error).split())[:400]))


async def _disk(request: Request, error: Exception) -> Response:
    return refusal(Refused(507, f"the store cannot be written: {getattr(error, 'strerror', None) or 'no more is known'}"))


async def _worked(work: Work) -> JSONResponse:
    """Do what takes time beside the server's loop, and answer with what it gives."""
    return JSONResponse(await asyncio.get_running_loop().run_in_executor(_THREADS, work))


class _Doors:
    """Each method answers a route."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions, self._streams = sessions, 0

    async def begin(self, request: Request) -> Response:
        """Open a session."""
        asked: Begin = checked(Begin, await body(request))

        def work() -> dict[str, Any]:
            session = self._sessions.begin(asked.scenario, asked.policy, asked.seed)
            if asked.speed:
                session.pace(asked.speed)
            return session.state()

        answer = await _worked(work)
        answer.status_code = 201
        return answer

    async def list(self, request: Request) -> Response:
        """Tell of the open sessions."""
        return JSONResponse({"sessions": [session.state() for session in self._sessions.all()]})

    async def state(self, request: Request) -> Response:
        """Tell where a session stands."""
        session = self._of(request)
        session.touch()
        return JSONResponse(session.state())

    async def advance(self, request: Request) -> Response:
        """Go on, in lock step or at a pace."""
        session, asked = self._of(request), checked(Advance, await body(request))

        def work() -> dict[str, Any]:
            if asked.speed is not None:
                session.pace(asked.speed)
                return session.state()
            return {"reached": session.advance(asked.to_s, asked.by_s, asked.until_notice), **session.state()}

        return await _worked(work)

    async def hints(self, request: Request) -> Response:
        """Take hints."""
        session, asked = self._of(request), checked(HINTS, _listed(await body(request)))
        return await _worked(lambda: _hinted(session, asked))

    async def heard(self, request: Request) -> Response:
        """Tell what became of the hints that were given."""
        session, since, most = self._of(request), _number(request, "since", 0, 0), _number(request, "limit", _PAGE, 1, _PAGE_MOST)
        workload = _workload(request, session)

        def work() -> dict[str, Any]:
            with session.asked() as live:
                found = live.heard(workload)
                rows = [stream.shown(_plain(asdict(each))) for each in found[since:][:most]]
                return {"t_s": live.t_s, "said": len(found), "hints": rows}

        return await _worked(work)

    async def answers(self, request: Request) -> Response:
        """Take answers to notices."""
        session, asked = self._of(request), checked(ANSWERS, _listed(await body(request)))
        return await _worked(lambda: _answered(session, asked))

    async def notices(self, request: Request) -> Response:
        """Tell the notices after one."""
        session, after, most = self._of(request), _number(request, "after", -1, -1), _number(request, "limit", _PAGE, 1, _PAGE_MOST)
        workload = _workload(request, session)
        session.touch()
        return JSONResponse({"t_s": session.live.t_s, "notices": _notices(session, after, workload, most)})

    async def stream(self, request: Request) -> Response:
        """Tell notices as they are sent."""
        session, workload = self._of(request), _workload(request, self._of(request))
        last = request.headers.get("last-event-id", "")
        after = int(last) if last.isdecimal() and len(last) < 15 else _number(request, "after", -1, -1)
        events = stream.EVENTS in request.headers.get("accept", "")
        if self._streams >= stream.MOST:
            raise TooMany(f"{stream.MOST} streams are open, no more can be; close one", 1.0)
        self._streams += 1
        told = stream.notices(
            session, lambda since: _notices(session, since, workload, _PAGE), after, events=events, stopped=lambda: self._sessions.stopped
        )

        async def counted() -> Any:
            try:
                async for part in told:
                    yield part
            finally:
                self._streams -= 1

        headers = {"Cache-Control": "no-store", "Content-Encoding": "identity"}
        return StreamingResponse(counted(), media_type=stream.EVENTS if events else stream.LINES, headers=headers)

    async def grants(self, request: Request) -> Response:
        """Tell how VMs are treated now."""
        session, since, most = self._of(request), _number(request, "since", 0, 0), _number(request, "limit", _PAGE, 1, _PAGE_MOST)
        workload = _workload(request, session)

        def work() -> dict[str, Any]:
            with session.asked() as live:
                rows = [_grant(asdict(each)) for each in live.grants(workload, since, most)]
                return {"t_s": live.t_s, "vms": live.standing(workload), "grants": rows}

        return await _worked(work)

    async def close(self, request: Request) -> Response:
        """Close a session and keep its log."""
        session, asked = self._of(request), checked(Close, await body(request))
        return await _worked(lambda: self._sessions.close(session.session_id, asked.name))

    def _of(self, request: Request) -> Session:
        return self._sessions.get(str(request.path_params["session_id"]))


Door = Callable[[Request], Awaitable[Response]]


def _listed(value: Any) -> Any:
    """Return a list, also where one thing was sent by itself."""
    return [value] if isinstance(value, dict) and value else value


def _number(request: Request, name: str, default: int, low: int, high: int = 10**15) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if len(text) > 16 or not text.removeprefix("-").isdecimal() or not low <= int(text) <= high:
        raise Refused(422, f"{name}: {text[:20]!r} is not a whole number from {low} to {high}")
    return int(text)


def _workload(request: Request, session: Session) -> str | None:
    name = request.query_params.get("workload")
    if name is not None and name not in session.live.workload_ids:
        raise NotHere(f"no workload is called {name[:60]!r} here; there are: {', '.join(session.live.workload_ids)}")
    return name


def _hinted(session: Session, asked: list[HintBody]) -> dict[str, Any]:
    from policies.live import Said

    with session.asked() as live:
        _room(live.said, len(asked))
        values = live.say([Said(each.scope, each.of, each.key, each.value) for each in asked])
        return {"t_s": live.t_s, "taken": len(asked), "values": [None if value != value else value for value in values]}


def _answered(session: Session, asked: list[AnswerBody]) -> dict[str, Any]:
    from policies.live import Answered

    with session.asked() as live:
        _room(live.said, len(asked))
        given = [
            Answered(each.notice, each.answer, each.scope or "workload", each.of or live.workload_of(int(each.notice))) for each in asked
        ]
        return {"t_s": live.t_s, "taken": len(asked), "open_vms": live.answer(given)}


def _room(said: int, more: int) -> None:
    if said + more > MOST_SAID:
        raise TooMany(f"a session takes {MOST_SAID:,} hints and answers, and has {said:,}; close it and begin another")


def _notices(session: Session, after: int, workload: str | None, most: int) -> list[dict[str, Any]]:
    return [_notice(asdict(each)) for each in session.live.notices(after, workload, most)]


def _notice(row: dict[str, Any]) -> dict[str, Any]:
    return stream.shown({"id": row.pop("notice_id"), **_plain(row)})


def _grant(row: dict[str, Any]) -> dict[str, Any]:
    return stream.shown(_plain(row))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {key.removesuffix("_id"): value for key, value in row.items()}
