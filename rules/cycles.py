"""Named conditions that refer to each other: their order, and faults where they go round in a circle."""

from collections.abc import Iterator, Mapping

from rules.conditions import AllOf, AnyOf, Condition, Is, Not
from rules.faults import Faults


def references(condition: Condition) -> Iterator[Is]:
    """Every `is` within the condition itself."""
    match condition:
        case Is():
            yield condition
        case Not(item=item):
            yield from references(item)
        case AllOf(items=items) | AnyOf(items=items):
            for item in items:
                yield from references(item)


def in_order(conditions: Mapping[str, Condition], faults: Faults | None = None) -> list[str]:
    """The names, each after those it refers to; a circle is told to `faults` once."""
    order: list[str] = []
    done: set[str] = set()
    for name in conditions:
        path: dict[str, None] = {}
        trail = [(name, iter([Is(conditions[name].node, name)]))]
        while trail:
            _visit(trail, path, conditions, done, order, faults)
    return order


def _visit(
    trail: list[tuple[str, Iterator[Is]]],
    path: dict[str, None],
    conditions: Mapping[str, Condition],
    done: set[str],
    order: list[str],
    faults: Faults | None,
) -> None:
    """One step of the walk in depth, without recursion: chains may be long."""
    reference = next(trail[-1][1], None)
    if reference is None:
        trail.pop()
        if path:
            order.append(path.popitem()[0])
    elif reference.name in path and faults is not None:
        names = list(path)
        circle = [*names[names.index(reference.name) :], reference.name]
        faults.add(reference, f"named conditions go round in a circle: {' -> '.join(circle)}")
    elif reference.name in conditions and reference.name not in done:
        done.add(reference.name)
        path[reference.name] = None
        trail.append((reference.name, references(conditions[reference.name])))


def tell_cycles(conditions: Mapping[str, Condition], faults: Faults) -> None:
    in_order(conditions, faults)
