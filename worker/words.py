"""Numbers in words, as commands and pages tell them."""


def number(count: int, one: str, many: str | None = None) -> str:
    """`1 call`, `2 calls`."""
    return f"{count} {one if count == 1 else many or one + 's'}"
