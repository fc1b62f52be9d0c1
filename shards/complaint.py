"""The first complaint of a pydantic validation as one line for people."""

from pydantic import ValidationError


def complaint(error: ValidationError, *, docs: str = "docs/recipes.md") -> str:
    """Where, what is expected and what was found, with the number of further complaints.

    Args:
        error: what pydantic found.
        docs: page that lists the keys, for a key that nobody knows.
    """
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = f"unknown key; see {docs}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    found = _found(first["input"]) if first["type"] not in {"missing", "value_error", "extra_forbidden"} else ""
    return f"{f'`{place}`: ' if place else ''}{message}{f', found {found}' if found else ''}{more}"


def _found(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"`{' '.join(str(value).split())}`"
