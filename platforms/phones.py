"""Phone numbers as the facts have them: E.164 where that is certain, else as reported without punctuation."""

from functools import lru_cache

from rules.text import bare_phone


@lru_cache(maxsize=8192)
def e164(number: str, region: str | None = None) -> str:
    """`number` in E.164 if it is international (`+...` or `00...`), or national in `region`.

    `region` is an ISO 3166 code such as `FR`. What is neither (an extension such as `101`, a short code,
    `anonymous`) stays as reported, without spaces and punctuation.
    """
    plain = bare_phone(number)
    if plain.startswith("+"):
        return _international(number) or plain
    if plain.startswith("00"):
        found = _international("+" + plain[2:])
        if found:
            return found
    return (region and _national(number, region)) or plain


def reported(number: str | None, region: str | None) -> str | None:
    """A number that a platform tells, in E.164 as far as that is certain; None where there is none."""
    return (e164(number, region) or None) if number else None


def known_region(region: str) -> bool:
    """Whether `region` is a code, in capitals, whose national numbers can be read."""
    import phonenumbers

    return region in phonenumbers.SUPPORTED_REGIONS


def _international(number: str) -> str | None:
    import phonenumbers  # its tables take 50 ms to load: only where a number is read

    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _national(number: str, region: str) -> str | None:
    """Only a valid number: `101` is possible in many countries, and is an extension all the same."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
