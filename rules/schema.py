"""The JSON Schema of a rule file, made from the catalogues, so that an editor completes and checks.

It refuses less than the loader: names that are not defined, order within `between`, circles and the like are
beyond a schema. It refuses nothing that the loader takes.
"""

from collections.abc import Mapping
from typing import Any

from rules.fields import CATALOGUE, CUSTOM_FIELD, WEEKDAYS, Field, Type
from rules.operators import FIXED, OPERATORS, Operator, Takes
from rules.read_condition import taken
from rules.ruleset import Mode

Schema = dict[str, Any]

TIME_OF_DAY = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
DAY = f"({'|'.join(WEEKDAYS)})"
NAMED_LIST: Schema = {"type": "string", "pattern": r"^\$(?!\$)", "description": "The name of a list: $name"}
SPOKEN: Schema = {"type": "string", "pattern": r"\S"}
CUSTOM_NAME = r"^custom\.[\s\S]"

VALUES: Mapping[Type, Schema] = {
    Type.TEXT: {"type": "string"},
    Type.PHONE: {"type": "string", "description": "A number such as +33612345678; spaces do not matter"},
    Type.NUMBER: {"type": "number"},
    Type.DURATION: {
        "description": "Seconds, or such as 90s, 30m, 2h, 1h30m",
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": "^(?=.)([0-9]+h)?([0-9]+m)?([0-9]+s)?$"},
        ],
    },
    Type.TIME: {"type": "string", "pattern": "^[0-9W-]+T[0-9:.,]+(Z|[+-][0-9:]+)$"},
    Type.DATE: {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    Type.TIME_OF_DAY: {"type": "string", "pattern": f"^{TIME_OF_DAY}$"},
    Type.BOOLEAN: {"type": "boolean"},
    Type.TEXTS: {"type": "array", "items": {"type": "string"}},
    Type.SCALAR: {"type": ["string", "number", "boolean"]},
}
"""What a fact of the type is. In a rule it is the same, and a text that begins with `$` is written `$$`."""


def schema() -> Schema:
    """The schema of one file of a rule set."""
    sections: Schema = {
        "version": {"enum": [1], "description": "The version of the rule language"},
        "timezone": _text("IANA name such as Europe/Paris; of local_time, local_date, weekday; default UTC"),
        "tags": _named(
            {"$ref": "#/definitions/tag"}, "How tags are made on the platform; none needs an entry"
        ),
        "lists": _named(_list(_written(VALUES[Type.SCALAR])), "Values shared by rules, as $name"),
        "schedules": _named({"$ref": "#/definitions/schedule"}, "Opening hours, for `during`"),
        "conditions": _named({"$ref": "#/definitions/condition"}, "Named conditions, for {is: name}"),
        "rules": {**_list({"$ref": "#/definitions/rule"}), "description": "Evaluated in this order"},
        "tests": {**_list({"$ref": "#/definitions/setTest"}), "description": "Tests of the whole set"},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "calltag rules",
        **_map(sections, ["version"]),
        "definitions": {
            "condition": _condition(),
            "comparison": {"anyOf": _comparisons()},
            "rule": _rule(),
            "ruleTest": _test({"match": {"enum": [True, False, "unknown"]}}),
            "setTest": _test({"expect": _list(SPOKEN, least=0)}),
            "call": _call(),
            "tag": _tag(),
            "schedule": _schedule(),
        },
    }


def _map(properties: Schema, required: list[str] | None = None) -> Schema:
    found = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": required} if required else found


def _list(items: Schema, least: int = 1) -> Schema:
    return {"type": "array", "items": items, "minItems": least}


def _named(items: Schema, description: str) -> Schema:
    names = {"pattern": r"\S"}
    return {
        "type": "object",
        "additionalProperties": items,
        "propertyNames": names,
        "description": description,
    }


def _text(description: str) -> Schema:
    return {**SPOKEN, "description": description}


def _condition() -> Schema:
    condition = {"$ref": "#/definitions/condition"}
    return {
        "title": "condition",
        "description": "One of all, any, not, is, or a field with its operators",
        "anyOf": [
            {"$ref": "#/definitions/comparison"},
            _map({"all": {**_list(condition), "description": "every one is true"}}, ["all"]),
            _map({"any": {**_list(condition), "description": "one is true"}}, ["any"]),
            _map({"not": condition}, ["not"]),
            _map({"is": _text("the name of a condition under `conditions`")}, ["is"]),
        ],
    }


def _comparisons() -> list[Schema]:
    """One alternative for all fields of a type, one for each field with fixed values, one for `custom`."""
    alike: dict[tuple[Type, tuple[str, ...]], list[Field]] = {}
    for field in CATALOGUE:
        alike.setdefault((field.type, field.values), []).append(field)
    found = [
        _comparison(fields[0], {"anyOf": [_constant(field) for field in fields]}) for fields in alike.values()
    ]
    custom = {"type": "string", "pattern": CUSTOM_NAME, "description": CUSTOM_FIELD.meaning}
    return [*found, _comparison(CUSTOM_FIELD, custom)]


def _constant(field: Field) -> Schema:
    unit = f" ({field.unit})" if field.unit else ""
    return {"enum": [field.name], "description": f"{field.meaning}{unit}"}


def _comparison(field: Field, name: Schema) -> Schema:
    operators = [OPERATORS[operator] for operator in taken(field.type)]
    properties: Schema = {"field": {**name, "title": str(field.type)}}
    for operator in operators:
        properties[operator.name] = {**_operand(operator, field), "description": operator.meaning}
    if field.type in (Type.TEXT, Type.TEXTS, Type.SCALAR):
        properties["ignore_case"] = {"type": "boolean", "description": "upper and lower case are the same"}
    one_of_them = [{"required": [operator.name]} for operator in operators]
    return {**_map(properties, ["field"]), "anyOf": one_of_them, "title": f"a field: {field.type}"}


def _operand(operator: Operator, field: Field) -> Schema:
    one = _literal(operator, field)
    match operator.takes:
        case Takes.ONE:
            return one
        case Takes.MANY:
            return {"anyOf": [_list(one), NAMED_LIST]}
        case Takes.PAIR:
            return {**_list(_end(field, one), least=2), "maxItems": 2}
        case Takes.TEXTS:
            text = {**_written({"type": "string"}), "minLength": 1}
            return {"anyOf": [text, _list(text), NAMED_LIST]}
        case Takes.SCHEDULE:
            return SPOKEN
        case Takes.BOOLEAN:
            return {"type": "boolean"}


def _end(field: Field, one: Schema) -> Schema:
    return {"anyOf": [one, {"enum": ["24:00"]}]} if field.type is Type.TIME_OF_DAY else one


def _literal(operator: Operator, field: Field) -> Schema:
    if field.values and operator.name in FIXED:
        return {"enum": list(field.values)}
    if field.type is Type.SCALAR and not operator.folds:
        return VALUES[Type.NUMBER]
    return _written(VALUES[field.type])


def _written(value: Schema) -> Schema:
    """A text may not begin with one `$`: that is a list."""
    return (
        {**value, "pattern": r"^(?!\$(?!\$))"}
        if "string" in value.get("type", "") and "pattern" not in value
        else value
    )


def _rule() -> Schema:
    tags = {"anyOf": [SPOKEN, _list(SPOKEN)], "description": "one tag or several"}
    properties: Schema = {
        "id": {"type": "string", "pattern": "^[a-z0-9-]+$", "description": "unique in the set, and stable"},
        "description": {"type": "string"},
        "mode": {
            "enum": list(Mode),
            "description": "live (default), shadow: evaluated, never applied, or off",
        },
        "when": {"$ref": "#/definitions/condition"},
        "tag": tags,
        "on_unmatch": {"enum": ["remove", "keep"], "description": "what becomes of its tags; default remove"},
        "stop": {"type": "boolean", "description": "when it matches, the rules after it are skipped"},
        "tests": _list({"$ref": "#/definitions/ruleTest"}),
    }
    stops = {"properties": {"stop": {"enum": [True]}}, "required": ["stop"]}
    return {"title": "rule", **_map(properties, ["id", "when"]), "anyOf": [{"required": ["tag"]}, stops]}


def _test(result: Schema) -> Schema:
    name = {"type": "string"}
    return _map({"name": name, "call": {"$ref": "#/definitions/call"}, **result}, ["call", *result])


def _call() -> Schema:
    facts = {field.name: _fact(field) for field in CATALOGUE}
    custom = {
        CUSTOM_NAME: {"type": ["string", "number", "boolean", "null"], "description": CUSTOM_FIELD.meaning}
    }
    return {"description": "The facts of a call", **_map(facts), "patternProperties": custom}


def _fact(field: Field) -> Schema:
    value = {"enum": list(field.values)} if field.values else VALUES[field.type]
    return {"anyOf": [value, {"type": "null"}], "description": field.meaning}


def _tag() -> Schema:
    color = {"type": "string", "pattern": "^#[0-9A-Fa-f]{6}$"}
    group = _text("tags of one group exclude each other on a call")
    return _map({"color": color, "description": SPOKEN, "group": group})


def _schedule() -> Schema:
    span = {"type": "string", "pattern": f"^{TIME_OF_DAY}-({TIME_OF_DAY}|24:00)$"}
    dates = _list(VALUES[Type.DATE], least=0)
    return {
        "title": "schedule",
        **_map({"timezone": SPOKEN, "closed": {**dates, "description": "whole days that are never inside"}}),
        "patternProperties": {f"^{DAY}(-{DAY})?$": _list(span)},
    }
