"""`/_control/...`: to watch and drive the simulator while it runs. No part of the platform, not counted."""

import threading
from collections.abc import Awaitable, Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from platforms.sipsim.simulator.answers import as_json
from platforms.sipsim.simulator.config import faults_in_words
from platforms.sipsim.simulator.day import make_day
from platforms.sipsim.simulator.gate import PlannedFault
from platforms.sipsim.simulator.playing import play
from platforms.sipsim.simulator.records import Record

if TYPE_CHECKING:
    from platforms.sipsim.simulator.state import Simulator

Action = Callable[["Simulator", bytes], object]


class NewCall(BaseModel):
    """A call to add; without `id` the next free one."""

    model_config = ConfigDict(extra="forbid")

    reference: str
    id: int | None = None
    direction: Literal["inbound", "outbound"]
    caller: str
    receiver: str
    started_at: AwareDatetime
    duration: Annotated[int, Field(ge=0)]
    status: Literal["ANSWER", "MISSED", "BUSY", "NOANSWER"] = "ANSWER"
    voicemail: bool = False


class Edit(BaseModel):
    """What a person does to a call's tags; `call` is a reference or an id."""

    model_config = ConfigDict(extra="forbid")

    call: str
    add: list[str] = []
    remove: list[str] = []


class Play(BaseModel):
    """A day to make and to play, in the background; the arguments of `make_day`."""

    model_config = ConfigDict(extra="forbid")

    calls: Annotated[int, Field(ge=1)] = 200
    seed: int = 1
    on: date | None = None
    calls_per_second: Annotated[float, Field(gt=0)] = 50


NEW_CALLS = TypeAdapter(list[NewCall])
CHANGES = TypeAdapter(dict[str, Any])


def show_state(simulator: "Simulator", _: bytes) -> object:
    sent = simulator.sender.counts.shown() | {"waiting": simulator.sender.waiting()}
    return {
        "calls": simulator.call_tags(),
        "tags": [tag.shown() for tag in simulator.tags.tags.values()],
        "counters": simulator.counters.shown(),
        "webhooks": sent,
        "playing": simulator.playing > 0,
        "enabled": sorted(simulator.enabled),
        "delays": simulator.delays,
    }


def change_config(simulator: "Simulator", body: bytes) -> object:
    simulator.config.change(CHANGES.validate_json(body))
    return simulator.config.model_dump(exclude={"client_secret", "webhook_secret"})


def add_calls(simulator: "Simulator", body: bytes) -> object:
    ids = []
    for new in NEW_CALLS.validate_json(body):
        values = new.model_dump(exclude={"started_at", "id"})
        call_id = simulator.book.next_id() if new.id is None else new.id
        simulator.add(Record(id=call_id, started=new.started_at.timestamp(), **values))
        ids.append(call_id)
    return {"ids": ids}


def play_day(simulator: "Simulator", body: bytes) -> object:
    asked = Play.model_validate_json(body)
    day = make_day(asked.calls, asked.seed, asked.on, simulator.book.next_id())
    arguments = {"calls_per_second": asked.calls_per_second}
    threading.Thread(target=play, args=(simulator, day), kwargs=arguments, daemon=True).start()
    return {"references": [call.record.reference for call in day]}


def show_facts(simulator: "Simulator", _: bytes) -> object:
    return simulator.facts


def edit_call(simulator: "Simulator", body: bytes) -> object:
    edit = Edit.model_validate_json(body)
    try:
        return {"tags": simulator.edit(edit.call, edit.add, edit.remove)}
    except KeyError:
        raise ValueError("call: there is none of this reference or id") from None


def plan_fault(simulator: "Simulator", body: bytes) -> object:
    simulator.plan(PlannedFault.model_validate_json(body))
    return {}


def clear_faults(simulator: "Simulator", _: bytes) -> object:
    simulator.gate.clear()
    return {}


def revoke_tokens(simulator: "Simulator", _: bytes) -> object:
    simulator.tokens.revoke_all()
    return {}


ACTIONS: tuple[tuple[str, str, Action], ...] = (
    ("GET", "/_control/state", show_state),
    ("POST", "/_control/config", change_config),
    ("POST", "/_control/calls", add_calls),
    ("POST", "/_control/play", play_day),
    ("GET", "/_control/facts", show_facts),
    ("POST", "/_control/edit", edit_call),
    ("POST", "/_control/faults", plan_fault),
    ("DELETE", "/_control/faults", clear_faults),
    ("POST", "/_control/revoke", revoke_tokens),
)


def control_routes(simulator: "Simulator") -> list[Route]:
    """Each action as a route: JSON in, JSON out, 400 with `error` where the body is wrong."""
    return [Route(path, _endpoint(simulator, action), methods=[method]) for method, path, action in ACTIONS]


def _endpoint(simulator: "Simulator", action: Action) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await request.body()
        with simulator.lock:
            try:
                return as_json(action(simulator, body))
            except ValidationError as fault:
                return as_json({"error": faults_in_words(fault)}, 400)
            except ValueError as fault:
                return as_json({"error": str(fault)}, 400)

    return endpoint
