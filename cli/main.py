"""The command `calltag`. Each command imports what it needs when it runs, so that `--help` is quick."""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import operate
from cli.errors import UserError
from cli.options import Config, Form, Format, Queue
from cli.retag import app as retag_app
from cli.rules import app as rules_app
from cli.simulate import app as simulate_app
from cli.tags import app as tags_app

app = typer.Typer(
    help="Puts the right tags on phone calls, by rule.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(rules_app, name="rules")
app.add_typer(retag_app, name="retag")
app.add_typer(simulate_app, name="simulate")
app.add_typer(operate.calls, name="calls")
app.add_typer(operate.events, name="events")
app.add_typer(operate.deadletters, name="deadletters")
app.add_typer(tags_app, name="tags")


@app.command()
def up(config: Config = None) -> None:
    """Runs everything on this machine until Ctrl-C: webhooks in, tags out. No server is needed beside it."""
    from cli.up import up

    up(config)


@app.command()
def web(config: Config = None) -> None:
    """Runs the part that receives webhooks and serves the API, alone, as one of several machines."""
    from cli.parts import web

    web(config)


@app.command()
def worker(
    queue: Annotated[
        Queue, typer.Option(help="live: tag calls that end. batch: carry out re-tagging jobs.")
    ] = Queue.LIVE,
    config: Config = None,
) -> None:
    """Runs the part that tags calls, alone; as many machines as needed may run it."""
    from cli.parts import worker

    worker(config, queue.value)


@app.command()
def sweeper(config: Config = None) -> None:
    """Runs the part that wakes what is due and watches the rules, alone; a second one waits for the first."""
    from cli.parts import sweeper

    sweeper(config)


@app.command()
def demo(
    calls: Annotated[int, typer.Option(help="Calls that the simulated platform makes.", min=1)] = 200,
    once: Annotated[bool, typer.Option("--once", help="Exit at the end: 0 if all agrees, 1 if not.")] = False,
    platform: Annotated[
        str | None, typer.Option(help="The platform that is simulated.", show_default=False)
    ] = None,
) -> None:
    """Shows the main job: a simulated platform makes calls, and their tags appear and are checked."""
    from cli.demo import demo

    demo(calls, once, platform)


@app.command()
def doctor(
    config: Config = None,
    enable_events: Annotated[
        bool | None, typer.Option(help="Switch on the webhook events that are off.", show_default=False)
    ] = None,
) -> None:
    """Looks at settings, rules, database, broker, the platform and our own address.

    One line each, with what to do where something is wrong; then it exits with 1.
    """
    from cli.doctor import doctor

    if not doctor(config, enable_events):
        raise typer.Exit(1)


@app.command()
def status(form: Form = Format.TEXT, config: Config = None) -> None:
    """Shows how many calls there are in each state, the rule set in force, and what is amiss."""
    from cli.status import status

    status(config, form)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def send(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="The account, such as sipsim.", metavar="ACCOUNT")],
    event: Annotated[str, typer.Argument(help="The event, such as incoming_call_end.", metavar="EVENT")],
    file: Annotated[
        Path | None,
        typer.Option(help="Send this file as it is, instead of an example of the event.", metavar="JSON"),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Where to send to; by default where `calltag up` listens here.")
    ] = None,
    config: Config = None,
) -> None:
    """Signs one webhook as the platform does and posts it, to try a deployment; exits with 1 if refused.

    Any other option is a field of the event: --duration 1900 --caller +33612345678 --pbx_id call_1,
    or --field duration=1900. An EVENT that does not exist is answered with the list of those that do.
    """
    from cli.send import send

    send(account, event, context.args, file, url, config)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def main() -> None:
    """Runs `calltag`; what a person can mend is said in one line, without a traceback."""
    try:
        try:
            app()
        finally:
            if sys.stdout:  # None where it is closed
                sys.stdout.flush()  # what cannot be written is known here, not only when Python ends
    except UserError as fault:
        print(f"calltag: {fault}", file=sys.stderr)
        sys.exit(2)
    except OSError as fault:
        if fault.errno not in (*NO_ROOM, errno.EPIPE):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left to write at the end goes nowhere
        if fault.errno == errno.EPIPE:  # `| head` has read enough
            sys.exit(1)
        print(f"calltag: nothing more can be written: {fault.strerror}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
