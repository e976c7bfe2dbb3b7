"""The commands `calltag retag`; their work is in `cli.jobs`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.options import TIMES, Before, Config, Form, Format, Yes

app = typer.Typer(
    help="Have past calls follow the rules: plan a job, look at the plan, run it, take it back.",
    no_args_is_help=True,
)


class Source(StrEnum):
    PLATFORM = "platform"
    STORE = "store"


class Orphaned(StrEnum):
    KEEP = "keep"
    REMOVE = "remove"


class Fetch(StrEnum):
    TRANSCRIPT = "transcript"


class ReportFormat(StrEnum):
    CSV = "csv"
    JSON = "json"


Job = Annotated[int, typer.Argument(help="The job's number.", metavar="JOB", min=1, show_default=False)]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Come back at once, and let it go on.")]


@app.command()
def plan(
    since: Annotated[
        str, typer.Option(help=f"Calls from then on: {TIMES}.", metavar="TIME", show_default=False)
    ],
    until: Annotated[
        str | None,
        typer.Option(help="Calls before then, written alike; by default until now.", metavar="TIME"),
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Which account, where several are configured.", show_default=False)
    ] = None,
    rule: Annotated[
        list[str] | None, typer.Option(help="Only changes by this rule; may be repeated.", metavar="ID")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only changes of this tag; may be repeated.", metavar="NAME")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(
            help="Only calls of which this is true, as in a rule: '{field: duration, gt: 30m}'.",
            metavar="CONDITION",
        ),
    ] = None,
    having: Annotated[
        str | None, typer.Option(help="Only calls that bear this tag, whoever put it.", metavar="TAG")
    ] = None,
    source: Annotated[
        Source, typer.Option(help="Who lists the calls: the platform, or what calltag has kept.")
    ] = Source.PLATFORM,
    orphaned: Annotated[
        Orphaned, typer.Option(help="What becomes of our tags whose rule is off or gone.")
    ] = Orphaned.KEEP,
    fetch: Annotated[
        Fetch | None,
        typer.Option(help="Get what the list lacks, at a request for each call. Says how many, and asks."),
    ] = None,
    no_wait: NoWait = False,
    yes: Yes = False,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Say what the rules in force would change on past calls. Nothing is written to the platform.

    The rules are always evaluated together; --rule and --tag choose which of
    the changes the job is about. The workers plan: Ctrl-C leaves them at it.
    """
    from cli.jobs import plan
    from worker.retag.asked import Asked

    asked = Asked(since=since, until=until, account=account, rule=rule or [], tag=tag or [],
                  where=where, having=having, source=source.value, orphaned=orphaned.value,
                  fetch=fetch.value if fetch else None)  # fmt: skip
    plan(config, form, asked, no_wait, yes)


@app.command()
def run(
    job: Job, no_wait: NoWait = False, yes: Yes = False, form: Form = Format.TEXT, config: Config = None
) -> None:
    """Carry out a planned job, after asking with the plan's numbers; refused where the rules have changed.

    Then as `watch`: it ends with the job, and Ctrl-C leaves the job going.
    """
    from cli.jobs import run

    run(config, form, job, no_wait, yes)


@app.command()
def status(
    job: Annotated[
        int | None,
        typer.Argument(
            help="The job's number; by default the newest.", metavar="[JOB]", min=1, show_default=False
        ),
    ] = None,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """Show one job: what was asked, its plan, how far it is, and why calls failed or were skipped."""
    from cli.jobs import tell

    tell(config, form, job)


@app.command()
def watch(job: Job, form: Form = Format.TEXT, config: Config = None) -> None:
    """Look on until a job is planned or has run: 0 when it came to its end, 1 when it did not."""
    from cli.jobs import watch

    watch(config, form, job)


@app.command()
def pause(job: Job, form: Form = Format.TEXT, config: Config = None) -> None:
    """Let a job stay where it is; what is under way is still written."""
    from cli.jobs import pause

    pause(config, form, job)


@app.command()
def resume(job: Job, form: Form = Format.TEXT, config: Config = None) -> None:
    """Let a paused job go on, or one that stopped because it strayed from its plan."""
    from cli.jobs import resume

    resume(config, form, job)


@app.command()
def cancel(job: Job, form: Form = Format.TEXT, config: Config = None) -> None:
    """End a job for good; what it has changed stays until `undo`."""
    from cli.jobs import cancel

    cancel(config, form, job)


@app.command("retry-failed")
def retry_failed(job: Job, form: Form = Format.TEXT, config: Config = None) -> None:
    """Try the calls of a job again that failed."""
    from cli.jobs import retry_failed

    retry_failed(config, form, job)


@app.command()
def undo(
    job: Job, no_wait: NoWait = False, yes: Yes = False, form: Form = Format.TEXT, config: Config = None
) -> None:
    """Take back what a job changed and nobody has touched since, by a job of its own: plans it, and asks.

    It blocks nothing: a rule that still gives a tag may give it again.
    """
    from cli.jobs import undo

    undo(config, form, job, no_wait, yes)


@app.command()
def report(
    job: Job,
    form: Annotated[ReportFormat, typer.Option("--format", help="A table, or an array.")] = ReportFormat.CSV,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The file to be written, whole or not at all; by default it is printed.", metavar="FILE"
        ),
    ] = None,
    config: Config = None,
) -> None:
    """Write down each call that a job changes: its tags before and after, what was done, or why not."""
    from cli.jobs import report

    report(config, form.value, job, output)


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(help="Lines at most.", min=1, max=1000)] = 50,
    before: Before = None,
    form: Form = Format.TEXT,
    config: Config = None,
) -> None:
    """List the jobs, newest first."""
    from cli.jobs import tell_list

    tell_list(config, form, limit, before)
