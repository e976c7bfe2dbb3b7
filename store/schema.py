"""The tables. Times are Unix seconds (UTC) as floats; JSON columns hold only what `rules.facts` can write."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()
WITH_BODY = text("emptied_at IS NULL")
NOT_SAME = text("state <> 'same'")
Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only what is declared INTEGER

calls = Table(
    "calls",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", String(64), nullable=False),
    Column("state", String(8), nullable=False),  # due, done, decided, parked, dead; a leased one is running
    Column("reason", Text),
    Column("ended", Boolean, nullable=False, server_default=false()),
    Column(
        "version", Integer, nullable=False, server_default=text("0")
    ),  # of the facts: raised by every event
    Column("decided_version", Integer),
    Column(
        "tags_version", Integer, nullable=False, server_default=text("0")
    ),  # lists up to it are accounted for
    Column("facts", JSON, nullable=False),
    Column("others", JSON),  # names of the tags on the call that are not ours; null until they were seen
    Column("caller", String(64)),
    Column("receiver", String(64)),
    Column("platform_id", Text),  # what tags are put by, once it is known
    Column("first_at", Float, nullable=False),  # receipt of the first event
    Column("lease_owner", String(64)),
    Column("lease_until", Float),
    Column("alone", Boolean, nullable=False, server_default=false()),  # the last lease ended without a result
    Column(
        "attempts", Integer, nullable=False, server_default=text("0")
    ),  # leases alone, since the last result
    Column("waits", Integer, nullable=False, server_default=text("0")),  # times parked, since the last result
    Column("parked_for", String(8)),  # platform: that it answers again
    Column("next_at", Float, nullable=False),
    Column("queued_until", Float, nullable=False, server_default=text("0")),
    Column("forgotten_at", Float),  # when the person's data in it was erased; it is never worked on again
    Index("calls_by_state", "state", "next_at"),
    Index("calls_in_state", "state", "id"),
    Index("calls_by_numbers", "caller", "receiver"),
    Index("calls_by_receiver", "receiver"),
    Index("calls_by_time", "first_at"),
)

call_refs = Table(
    "call_refs",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("call_id", Id, ForeignKey("calls.id"), nullable=False, index=True),
    Index("call_refs_by_reference", "reference"),
)

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", String(64), nullable=False),
    Column("dedup_key", LargeBinary(32), nullable=False),  # SHA-256 of its identity; random for a snapshot
    # webhook; record: an item of the platform's call list; import: a line of a file; snapshot: what the
    # emptied events of a call said
    Column("source", String(8), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("signed_at", Float, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("state", String(8), nullable=False),  # new, linked, ignored, dead
    Column("name", String(64)),
    Column("reason", Text),
    Column("call_id", Id, ForeignKey("calls.id"), index=True),
    Column("version", Integer),  # the call's version that this event made
    Column("emptied_at", Float),  # when the body was dropped; for a snapshot, those it stands for
    UniqueConstraint("account", "dedup_key"),
    Index("events_by_state", "state", "id"),
    Index("events_by_receipt", "received_at"),
    Index("events_with_body", "received_at", sqlite_where=WITH_BODY, postgresql_where=WITH_BODY),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("call_id", Id, ForeignKey("calls.id"), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("version", Integer, nullable=False),
    Column("ruleset", String(64), nullable=False),
    Column("received_at", Float, nullable=False),  # receipt of the newest event it rests on
    Column("outcomes", JSON, nullable=False),  # rule id to outcome, of every rule that is not plainly false
    Column("tags", JSON, nullable=False),
    Column("added", JSON, nullable=False),
    Column("removed", JSON, nullable=False),  # tag, the rule that gave it, and why, of each
    Column("job", Id, ForeignKey("jobs.id")),  # that decided so, where no event did
    Column("day", Integer),  # in which it counts in rule_days; null once a later one of the call does instead
)

rule_days = Table(  # how calls came out, by rule; those of rule '' are all calls that the set decided
    "rule_days",
    metadata,
    Column("rule", Text, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970, UTC: that of first_at
    Column("ruleset", String(64), primary_key=True),
    Column("matched", Integer, nullable=False),
    Column("unknown", Integer, nullable=False),
    Index("rule_days_by_day", "day"),
    sqlite_with_rowid=False,
)

tag_days = Table(  # how many calls got a tag on a day; what was taken off again is not taken back
    "tag_days",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),  # since 1970, UTC
    Column("tag", Text, primary_key=True),
    Column("put", Integer, nullable=False),
    sqlite_with_rowid=False,
)

applied_tags = Table(
    "applied_tags",
    metadata,
    Column("call_id", Id, ForeignKey("calls.id"), primary_key=True),
    Column("tag", Text, primary_key=True),
    # intended: about to be put; ours; removing: about to be taken off; off: taken off; blocked: a person did
    Column("state", String(8), nullable=False),
    Column("rule", Text, nullable=False),
    Column("ruleset", String(64), nullable=False),
    Column("at", Float, nullable=False),
    Column("job", Id, ForeignKey("jobs.id")),  # that put it or took it off
    Index("applied_tags_by_tag", "tag", "call_id"),
    Index("applied_tags_by_rule", "rule", "call_id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("account", String(64), nullable=False),
    Column("kind", String(8), nullable=False),  # retag, undo
    Column("undoes", Id, ForeignKey("jobs.id")),
    # planning, planned, running, done; failed: no plan could be made; stopped: somebody must look; cancelled
    Column("state", String(10), nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("reason", Text),
    Column("spec", JSON, nullable=False),  # what was asked for
    Column("ruleset", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("planned_at", Float),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("plan", JSON, nullable=False),  # counts of the plan
    Column("run", JSON, nullable=False),  # counts of the run
    Column("tidied", Text),  # the last call whose row was looked at; null when all were
    Column("queued_until", Float, nullable=False, server_default=text("0")),
    Index("jobs_by_state", "state"),
)

job_windows = Table(  # the parts of a job's range; one worker at a time walks the pages of each
    "job_windows",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("since", Float, nullable=False),
    Column("until", Float, nullable=False),
    Column("page", Text),  # the token of the next page; null for the first
    Column("walked", Boolean, nullable=False, server_default=false()),
    Column("tries", Integer, nullable=False, server_default=text("0")),  # in vain, since the last page
    Column("next_at", Float, nullable=False, server_default=text("0")),
    Column("lease_owner", String(64)),
    Column("lease_until", Float),
)

job_calls = Table(
    "job_calls",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), primary_key=True),
    Column("reference", Text, primary_key=True),  # the platform's id of the call, or another name of it
    Column("call_id", Id, ForeignKey("calls.id", ondelete="SET NULL"), index=True),  # null: it has no row
    # same: nothing to change; planned; todo: to be changed now; done; failed; skipped
    Column("state", String(8), nullable=False),
    Column("running", Boolean, nullable=False, server_default=false()),  # the run has met it
    Column("before", JSON),
    Column("add", JSON),
    Column("remove", JSON),
    Column("added", JSON),
    Column("removed", JSON),
    Column("reason", Text),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("next_at", Float, nullable=False, server_default=text("0")),
    Index("job_calls_by_state", "job", "state", "next_at", sqlite_where=NOT_SAME, postgresql_where=NOT_SAME),
    sqlite_with_rowid=False,
)

rulesets = Table(
    "rulesets",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("files", JSON, nullable=False),  # relative name to text
    Column("shadow", JSON, nullable=False),  # the ids of its shadow rules
    Column("loaded_at", Float, nullable=False),
    Column("loaded_by", String(16), nullable=False),  # sweeper: found in the path; page
    Column("activated_at", Float, nullable=False),  # the last time it came into force
    Column("active", Boolean, nullable=False, server_default=false()),
)

platform_tags = Table(
    "platform_tags",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("tag_id", Text),  # null once it was deleted there
    Column("known_as", Text, nullable=False),  # its name there, which somebody may have changed
)

breakers = Table(
    "breakers",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),  # batches in a row that the platform left without an answer
    Column("open_until", Float, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("lookup", String(8)),  # what was found out: direct or search
    Column("reconciled_from", Float),  # when reconciliation began
    Column("reconciled_until", Float),  # the end of its last look
)

credentials = Table(  # of platforms whose refresh tokens are good once
    "credentials",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("access_token", Text),
    Column("access_until", Float, nullable=False, server_default=text("0")),
    Column("refresh_token", Text),
    Column("refresh_until", Float, nullable=False, server_default=text("0")),
    Column("lease_owner", String(64)),  # who renews
    Column("lease_until", Float, nullable=False, server_default=text("0")),
    Column("login_at", Float, nullable=False, server_default=text("0")),  # the limit is used up to it
)

counters = Table(
    "counters",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("subject", String(64), primary_key=True),  # rules, or platform:ACCOUNT
    Column("text", Text, nullable=False),
    Column("since", Float, nullable=False),
)

processes = Table(
    "processes",
    metadata,
    Column("process", String(64), primary_key=True),
    Column("part", String(16), nullable=False),
    Column("seen_at", Float, nullable=False),
)

duties = Table(  # what one process at a time does
    "duties",
    metadata,
    Column("duty", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("until", Float, nullable=False),
)

sessions = Table(  # of the pages
    "sessions",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),  # SHA-256 of the cookie and its token
    Column("role", String(8), nullable=False),  # admin, viewer
    Column("csrf", String(64), nullable=False),
    Column("until", Float, nullable=False),
    Column("told", Text),  # what the next page is to tell
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("address", String(64), nullable=False, index=True),
    Column("at", Float, nullable=False),
)

backtests = Table(  # what rules would have done with the stored calls, counted when somebody asks
    "backtests",
    metadata,
    Column("id", String(32), primary_key=True),  # random: whoever knows it may look at it
    Column("files", JSON),  # of rules that were never in force: relative name to text
    Column("ruleset", String(64)),  # of the others
    Column("against", String(64)),  # the rule set that they are compared with
    Column("asked", JSON, nullable=False),  # range and title, and the edit that is to be published
    Column("state", String(8), nullable=False),  # running, done, failed, stopped
    Column("reason", Text),
    Column("looked", Integer, nullable=False, server_default=text("0")),  # calls so far
    Column("total", Integer),
    Column("result", JSON),
    Column("begun_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),  # the last sign of life
)
