"""The documents say what is so."""

import re
from pathlib import Path

from schemas.settings import ENV_PREFIX, Settings
from streams.scripts import MOVES
from streams.states import diagram

ROOT = Path(__file__).parents[2]


def test_the_readme_shows_the_transition_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```mermaid\n(.*?)\n```", readme, re.DOTALL)
    assert shown == diagram()


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    missing = [name for name in Settings.model_fields if f"`{ENV_PREFIX}{name.upper()}`" not in text]
    assert not missing


def test_links_between_documents_lead_somewhere() -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (document, target)
        for document in documents
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    ]
    broken = [f"{document.name}: {target}" for document, target in links if not (document.parent / target).exists()]
    assert not broken


def test_every_script_is_a_move() -> None:
    files = {path.stem for path in (ROOT / "streams" / "lua").glob("*.lua")}
    assert files == set(MOVES)
