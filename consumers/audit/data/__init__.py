"""Names and words that ship with the rules, as text files."""

from importlib.resources import files


def by_language(name: str) -> dict[str, str]:
    """The lines of a file that are ``language: words``."""
    lines = (files(__name__) / name).read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(": ") for line in lines if not line.startswith("#"))
    return {language: words for language, _, words in pairs}
