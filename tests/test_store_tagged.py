"""On which calls a tag of ours stands, and what is noted when its definition is gone."""

from sqlalchemy import insert

from store import tagged
from store.calls import UNSURE, TagState, lease
from store.database import Database
from store.schema import applied_tags
from tests.commands import ended
from tests.rows import column, tag_states

NOW = 1_790_000_000.0
STANDING = {"intended", "ours", "removing"}


def put(database: Database, call: int, tag: str, state: str, at: float = NOW, rule: str = "r") -> None:
    values = {"call_id": call, "tag": tag, "state": state, "rule": rule, "ruleset": "h", "at": at}
    with database.write() as connection:
        connection.execute(insert(applied_tags).values(values))


def test_a_tag_stands_on_the_calls_where_it_is_or_may_be_by_us(database: Database) -> None:
    for number, state in enumerate(TagState):
        put(database, ended(database, f"call_{number}", NOW), "VIP", state)
    other = ended(database, "call_x", NOW, account="sipsim-lyon")
    put(database, other, "VIP", "ours")
    put(database, other, "Long", "ours")
    with database.read() as connection:
        assert tagged.count(connection, "sipsim") == {"VIP": len(STANDING)}
        assert tagged.count(connection, "sipsim-lyon") == {"VIP": 1, "Long": 1}


def test_an_account_knows_the_rules_and_tags_that_its_own_calls_had_of_us_whatever_became_of_them(
    database: Database,
) -> None:
    mine, other = ended(database, "a", NOW), ended(database, "b", NOW, account="sipsim-lyon")
    for number, state in enumerate(TagState):
        put(database, mine, f"Tag {number}", state, rule=f"rule-{number}")
    put(database, other, "Theirs", "ours", rule="theirs")
    tags, rules = [[f"{what}{number}" for number in range(len(TagState))] for what in ("Tag ", "rule-")]
    with database.read() as connection:
        assert sorted(tagged.given(connection, "sipsim", "tag")) == tags
        assert sorted(tagged.given(connection, "sipsim", "rule")) == rules
        assert tagged.given(connection, "sipsim-lyon", "tag") == ["Theirs"]
        assert all(tagged.has_given(connection, "sipsim", "tag", tag) for tag in tags)
        assert all(tagged.has_given(connection, "sipsim", "rule", rule) for rule in rules)
        for unknown in ("Theirs", "theirs", "rule-0", "", "a\0b", "a\udcff"):
            assert not tagged.has_given(connection, "sipsim", "tag", unknown), unknown
        assert not tagged.has_given(connection, "sipsim", "rule", "Tag 0")


def test_a_deleted_tag_is_noted_off_where_it_stood_and_nowhere_else(database: Database) -> None:
    stood = {str(state): ended(database, f"call_{state}", NOW) for state in TagState}
    for state, call in stood.items():
        put(database, call, "VIP", state)
    several = ended(database, "several", NOW)
    put(database, several, "Vip", "ours")
    put(database, several, "Long", "ours")
    put(database, several, "VIP", "blocked")
    elsewhere = ended(database, "elsewhere", NOW, account="sipsim-lyon")
    put(database, elsewhere, "VIP", "ours")
    younger = ended(database, "younger", NOW)
    put(database, younger, "VIP", "intended", at=NOW + 10)
    names = ["VIP", "Vip"]
    with database.read() as connection:
        found = tagged.bearing(connection, "sipsim", names, NOW + 5)
    assert found == sorted([*(stood[state] for state in STANDING), several])
    with database.write() as connection:
        tagged.note_off(connection, found, names, NOW + 5)
    for state, call in stood.items():
        assert tag_states(database, call) == {"VIP": "off" if state in STANDING else state}
    assert tag_states(database, several) == {"Vip": "off", "Long": "ours", "VIP": "blocked"}
    assert tag_states(database, elsewhere) == {"VIP": "ours"}
    assert tag_states(database, younger) == {"VIP": "intended"}


def test_what_a_worker_is_just_recording_is_doubted(database: Database) -> None:
    leased, idle = ended(database, "leased", NOW), ended(database, "idle", NOW)
    elsewhere = ended(database, "elsewhere", NOW, account="sipsim-lyon")
    with database.write() as connection:
        assert len(lease(connection, [leased, elsewhere], "worker", NOW)[0]) == 2
        found = tagged.leased(connection, "sipsim", NOW + 1)
        tagged.doubt(connection, found)
    assert column(database, leased, "tags_version") == UNSURE
    assert UNSURE not in (column(database, call, "tags_version") for call in (idle, elsewhere))
    assert found == [leased]
    with database.read() as connection:
        assert tagged.leased(connection, "sipsim", NOW + 3600) == [], "its lease has ended"
