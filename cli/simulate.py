"""`calltag simulate`: a simulated platform alone, in the foreground."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from cli.errors import UserError

if TYPE_CHECKING:
    from platforms.sipsim.simulator import Config, Series

SECRETS = "CALLTAG_SIPSIM_WEBHOOK_SECRETS"

Listening = TypeVar("Listening")

app = typer.Typer(no_args_is_help=True)


Host = Annotated[str, typer.Option(help="Address to listen at.")]
Port = Annotated[int, typer.Option(help="Port to listen at; 0 takes a free one.", min=0, max=65535)]
WebhookUrl = Annotated[str | None, typer.Option(help="Where to send webhooks, with what proves them.")]
Calls = Annotated[int, typer.Option(help="Calls of a realistic day to play at that address.", min=0)]
Pace = Annotated[float, typer.Option(help="The pace of those calls.", min=0.01)]


@app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    platform: Annotated[
        str | None, typer.Option(help="Which platform.", metavar="NAME", show_default=False)
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 8100,
    limited: Annotated[bool, typer.Option("--limited", help="Refuse requests over its limit.")] = False,
    webhook_url: WebhookUrl = None,
    calls: Calls = 0,
    calls_per_second: Pace = 50,
) -> None:
    """A simulated telephony platform, to try calltag against, in memory, until Ctrl-C.

    Prints the settings of an account at it. SIPSIM can be simulated with faults as well: `calltag simulate
    sipsim --help`.
    """
    if context.invoked_subcommand is not None:
        return
    from platforms.registry import PLATFORMS
    from platforms.simulated import simulator
    from worker.settings import account_prefix

    if platform is None or platform not in PLATFORMS:
        said = "is needed" if platform is None else f"'{platform}' is none that calltag knows"
        raise UserError(f"--platform: {said}; one of: {', '.join(PLATFORMS)}")
    if webhook_url is not None and not webhook_url.startswith(("http://", "https://")):
        raise UserError(
            f"--webhook-url: '{webhook_url}' is no address such as http://127.0.0.1:8000/webhooks/{platform}"
        )
    _check_calls(calls, webhook_url)
    stopped = _stop_signals()
    with ExitStack() as stack:
        shown = _listening(stack, simulator(platform)(limited=limited, host=host, port=port), host, port)
        print(f"A simulated {platform}. {shown.unlike} An account at it is set by")
        for name, value in shown.settings.items():
            print(f"{account_prefix(platform)}{name.upper()}={value}")
        print("Ctrl-C ends it.", flush=True)
        if webhook_url:
            shown.send_to(webhook_url)
        if calls:
            _beside(shown.play, calls, calls_per_second)
        stopped.wait()


@app.command()
def sipsim(
    host: Host = "127.0.0.1",
    port: Port = 8100,
    latency_ms: Annotated[float, typer.Option(help="Milliseconds by which each answer is late.", min=0)] = 0,
    error_rate: Annotated[float, typer.Option(help="Share of requests that fail.", min=0, max=1)] = 0,
    rate_limit: Annotated[
        int, typer.Option(help="Requests let through in a second; 0: no limit.", min=0)
    ] = 0,
    retry_after: Annotated[str, typer.Option(help="Retry-After of a 429, as it is; empty: none.")] = "1",
    token_seconds: Annotated[float, typer.Option(help="How long a token is good.", min=0)] = 7200,
    ids: Annotated[
        Literal["reference", "integer"],
        typer.Option(help="Whether a call is found by its webhook's reference too, or by its integer only."),
    ] = "reference",
    list_reference: Annotated[
        bool, typer.Option(help="Listed calls carry their webhook's reference.")
    ] = False,
    list_delay: Annotated[
        float, typer.Option(help="Seconds from a call's end until it is listed.", min=0)
    ] = 0,
    history: Annotated[int, typer.Option(help="Past calls to have, made as they are asked for.", min=0)] = 0,
    duplicate_rate: Annotated[float, typer.Option(help="Share of webhooks sent twice.", min=0, max=1)] = 0,
    reorder_rate: Annotated[float, typer.Option(help="Share of webhooks that are late.", min=0, max=1)] = 0,
    webhook_url: WebhookUrl = None,
    calls: Calls = 0,
    calls_per_second: Pace = 50,
    seed: Annotated[int, typer.Option(help="Another number gives another day.")] = 1,
) -> None:
    """The SIPSIM platform as far as its documents tell, in memory, until Ctrl-C.

    Prints its address and the simulated credentials. The webhook secret is the first one of
    CALLTAG_SIPSIM_WEBHOOK_SECRETS where that is set. To watch and drive it: /_control/state and others.
    """
    from platforms.sipsim.simulator import Simulator, make_day, play, serve

    _check_calls(calls, webhook_url)
    config = _config(
        latency=latency_ms / 1000,
        error_rate=error_rate,
        rate_limit=rate_limit or None,
        retry_after=retry_after or None,
        token_seconds=token_seconds,
        ids=ids,
        list_reference=list_reference,
        list_delay=list_delay,
        duplicate_rate=duplicate_rate,
        reorder_rate=reorder_rate,
        webhook_url=webhook_url,
    )
    simulated = Simulator(config, _history(history))
    stopped = _stop_signals()
    with ExitStack() as stack:
        url = _listening(stack, serve(simulated, host, port), host, port)
        print(f"SIPSIM simulator at {url}, {_credentials(config)}", flush=True)
        if calls:
            _beside(play, simulated, make_day(calls, seed), calls_per_second=calls_per_second)
        stopped.wait()


def _check_calls(calls: int, webhook_url: str | None) -> None:
    if calls and webhook_url is None:
        raise UserError("--calls needs --webhook-url, the address to play them at")


def _config(**values: object) -> "Config":
    from platforms.sipsim.simulator import Config

    config = Config()
    if secret := _given_secret():
        values["webhook_secret"] = secret
    try:
        config.change(values)
    except ValueError as fault:
        raise UserError(str(fault)) from None
    return config


def _given_secret() -> str:
    return os.environ.get(SECRETS, "").split(",")[0].strip()


def _credentials(config: "Config") -> str:
    """What to set in calltag; a secret that came by the environment is not shown."""
    secret = f"as in {SECRETS}" if _given_secret() else config.webhook_secret
    return f"client id {config.client_id}, client secret {config.client_secret}, webhook secret {secret}"


def _history(calls: int) -> "Series | None":
    """That many calls, two seconds apart, up to this minute."""
    from platforms.sipsim.simulator import Series

    step = 2
    return Series(calls, int(time.time()) - calls * step, step) if calls else None


def _listening(
    stack: ExitStack, server: AbstractContextManager[Listening], host: str, port: int
) -> Listening:
    try:
        return stack.enter_context(server)
    except OSError as fault:
        raise UserError(f"cannot listen at {host}, port {port}: {fault.strerror}") from None


def _beside(play: Callable[..., None], *arguments: object, **named: object) -> None:
    threading.Thread(target=play, args=arguments, kwargs=named, daemon=True).start()


def _stop_signals() -> threading.Event:
    """Set by Ctrl-C or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    return stopped
