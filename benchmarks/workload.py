"""The calls and rules that are measured: of a realistic mix, the same for the same seed.

Of ten rules five have a numeric threshold and one or two equalities, two ask for number prefixes or lists,
two for words or patterns in the transcript, one for a time window. Half of the calls have a transcript.
"""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rules.facts import Facts, derive, facts_from_json
from rules.loader import parse
from rules.ruleset import RuleSet

ZONE = ZoneInfo("Europe/Paris")
QUEUES = [f"queue-{number}" for number in range(40)]
AGENTS = [f"agent-{number}" for number in range(400)]
CAMPAIGNS = [f"campaign-{number}" for number in range(60)]
SOURCES = ["website", "flyer", "radio", "partner", "directory", "search", "mail", "fair"]
STATUSES = ["answered", "missed", "busy", "no_answer", "voicemail", "failed", "abandoned"]
COUNTRIES = ["+33", "+44", "+49", "+34", "+39", "+32", "+41", "+1", "+351", "+31", "+352", "+48"]
LETTERS = "eeeeaaaiiioooutnnssrrldcmpvgfbhqé"
CHARACTERS = 1400
"""Of a transcript."""
OFFICE = {"mon-fri": ["09:00-12:30", "13:30-18:00"], "sat": ["10:00-12:00"]}


def _words(number: int) -> list[str]:
    dice = random.Random(7)
    return ["".join(dice.choices(LETTERS, k=dice.randint(2, 10))) for _ in range(number)]


COMMON = _words(1500)
KEYWORDS = [f"{word}ix" for word in _words(3000) if word.isascii() and len(word) > 3]
"""Words that are looked for; each is in one transcript of some hundred."""


def transcript(dice: random.Random) -> str:
    words = dice.choices(COMMON, k=CHARACTERS // 7)
    for _ in range(dice.randint(0, 12)):
        words[dice.randrange(len(words))] = dice.choice(KEYWORDS)
    if dice.random() < 0.3:
        words[dice.randrange(len(words))] = f"order {dice.randint(10**5, 10**6)}"
    return ". ".join(" ".join(words[at : at + 12]).capitalize() for at in range(0, len(words), 12))


def call(dice: random.Random) -> dict[str, Any]:
    """One call as JSON has it, with the derived fields."""
    direction = dice.choice(["inbound", "inbound", "outbound"])
    remote = dice.choice(COUNTRIES) + "".join(dice.choices("0123456789", k=9))
    ours = f"+3318000{dice.randint(1000, 1200)}"
    ends = (remote, ours) if direction == "inbound" else (ours, remote)
    start = datetime(2026, 1, 5, tzinfo=ZONE) + timedelta(seconds=dice.randrange(90 * 86400))
    duration = int(dice.expovariate(1 / 240))
    facts = {
        "platform": "sipsim",
        "account": dice.choice(["sipsim", "sipsim-lyon"]),
        "direction": direction,
        "status": dice.choices(STATUSES, [60, 12, 6, 8, 8, 3, 3])[0],
        "duration": duration,
        "talk_time": int(duration * 0.8),
        "wait_time": dice.randrange(120),
        "caller": ends[0],
        "receiver": ends[1],
        "remote_number": remote,
        "our_number": ours,
        "started_at": start.isoformat(),
        "ended_at": (start + timedelta(seconds=duration)).isoformat(),
        "agent": dice.choice(AGENTS),
        "queue": dice.choice(QUEUES),
        "source": dice.choice(SOURCES),
        "campaign": dice.choice(CAMPAIGNS),
        "has_recording": dice.random() < 0.7,
        "has_voicemail": dice.random() < 0.05,
        "rating": dice.randint(1, 50) / 10,
        "custom.site": f"site-{dice.randrange(25)}",
        "custom.priority": dice.randrange(5),
    }
    if dice.random() < 0.5:
        facts["transcript"] = transcript(dice)
    return facts


def calls(number: int, seed: int = 1) -> list[Facts]:
    """Calls with their derived fields, so that no engine has to work them out."""
    dice = random.Random(seed)
    return [derive(facts_from_json(call(dice)), ZONE) for _ in range(number)]


def rules(number: int, text: bool = True, seed: int = 2) -> list[dict[str, Any]]:
    """Rules as JSON has them: each an `all` of comparisons."""
    dice = random.Random(seed)
    kinds = [_threshold] * 5 + [_prefixes, _list, _keywords if text else _threshold]
    kinds += [_pattern if text else _threshold, _window]
    return [{"id": f"r{at}", "when": {"all": kinds[at % 10](dice)}, "tag": f"T{at}"} for at in range(number)]


Comparisons = list[dict[str, Any]]


def _threshold(dice: random.Random) -> Comparisons:
    numeric: dict[str, Any] = dice.choice(
        [
            {"field": "duration", "gt": int(dice.expovariate(1 / 400))},
            {"field": "talk_time", "lt": int(dice.expovariate(1 / 200)) + 5},
            {"field": "wait_time", "gte": dice.randrange(120)},
            {"field": "rating", "lte": dice.randint(5, 45) / 10},
            {"field": "custom.priority", "gte": dice.randrange(1, 5)},
        ]
    )
    return [numeric, *_equalities(dice)]


def _equalities(dice: random.Random) -> Comparisons:
    queue = {"field": "queue", "eq": dice.choice(QUEUES)}
    return dice.choice(
        [
            [queue, {"field": "status", "eq": dice.choice(STATUSES)}],
            [queue, {"field": "direction", "eq": dice.choice(["inbound", "outbound"])}],
            [queue, {"field": "source", "ne": dice.choice(SOURCES)}],
            [queue, {"field": "has_recording", "eq": dice.random() < 0.5}],
            [{"field": "agent", "eq": dice.choice(AGENTS)}],
            [{"field": "agent", "eq": dice.choice(AGENTS)}, {"field": "direction", "eq": "inbound"}],
        ]
    )


def _prefixes(dice: random.Random) -> Comparisons:
    areas = [dice.choice(COUNTRIES) + str(dice.randint(10, 99)) for _ in range(dice.randint(1, 4))]
    return [{"field": "remote_number", "starts_with": areas}]


def _list(dice: random.Random) -> Comparisons:
    return [
        {"field": "agent", "in": dice.sample(AGENTS, dice.randint(2, 10))},
        {"field": "campaign", "in": dice.sample(CAMPAIGNS, dice.randint(1, 5))},
    ]


def _keywords(dice: random.Random) -> Comparisons:
    words = {"field": "transcript", "mentions": dice.sample(KEYWORDS, dice.randint(1, 4))}
    return [words] if dice.random() < 0.5 else [words, {"field": "direction", "eq": "inbound"}]


def _pattern(dice: random.Random) -> Comparisons:
    head = dice.choice(KEYWORDS)[:4]
    pattern = dice.choice([rf"order {dice.randint(10, 99)}[0-9]+", rf"{head}[a-z]*ix {head[0]}", f"{head}.x"])
    return [{"field": "transcript", "matches": pattern}, *_equalities(dice)]


def _window(dice: random.Random) -> Comparisons:
    start = dice.randrange(0, 22)
    hours = {"field": "local_time", "between": [f"{start:02}:00", f"{start + dice.randint(1, 2):02}:00"]}
    queue = {"field": "queue", "eq": dice.choice(QUEUES)}
    return dice.choice([[hours, queue], [{"field": "started_at", "during": "office"}, queue]])


def content(some: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The file of these rules."""
    return {"version": 1, "timezone": ZONE.key, "schedules": {"office": OFFICE}, "rules": list(some)}


def parsed(written: Mapping[str, Any]) -> RuleSet:
    return parse({"rules.yaml": json.dumps(written, ensure_ascii=False).encode()})


def rule_set(some: Sequence[Mapping[str, Any]]) -> RuleSet:
    return parsed(content(some))
