"""``setup``: installs what one flow alone needs and pip does not bring."""

import shutil
import subprocess
from pathlib import Path

import typer

from api.cli.screen import Json, next_step, print_json, say

setup = typer.Typer(no_args_is_help=True, help="Install what one flow alone needs, under MILLRACE_HOME.")

NODE = "node@22"
LIGHTHOUSE = "lighthouse@13"
TIMEOUT_S = 900


@setup.callback()
def _about() -> None:
    """Install what one flow alone needs, under MILLRACE_HOME."""


@setup.command()
def audit(*, as_json: Json = False) -> None:
    """Install a local Lighthouse (with a Node of its own) by npm, for PageSpeed without Google's API."""
    from consumers.audit.outside.pagespeed import installed
    from consumers.net.browser import chromium
    from schemas.settings import load_settings
    from streams.errors import MillraceError, PermanentError

    settings = load_settings()
    npm = shutil.which("npm")
    if npm is None:
        raise MillraceError("npm is not on PATH: install it (Debian: apt-get install npm; macOS: brew install node)")
    folder = settings.home / "lighthouse"
    if not as_json:
        say(f"Installing {NODE} and {LIGHTHOUSE} into {folder}: some 300 MB, a minute or two.")
    _run_npm(npm, folder)
    found = installed(settings.home)
    if found is None:
        raise MillraceError(f"npm ended well and {folder} has no Lighthouse: remove the folder and run this again")
    try:
        browser = chromium.find(settings.chromium)
    except PermanentError as error:
        browser = ""
        if not as_json:
            say(str(error), "yellow")
    if as_json:
        print_json({"node": found[0], "lighthouse": found[1], "chromium": browser or None})
        return
    say("Lighthouse is there.", "green")
    next_step(("submit audit URL --wait", "audits a site, PageSpeed included"))


def _run_npm(npm: str, folder: Path) -> None:
    from streams.errors import MillraceError

    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--no-save", NODE, LIGHTHOUSE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - npm, ours
    except subprocess.TimeoutExpired:
        raise MillraceError(f"npm was not done after {TIMEOUT_S} s; check the network and run this again") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason"]
        raise MillraceError(f"npm failed: {last[0][:300]}; check the network and run this again")
