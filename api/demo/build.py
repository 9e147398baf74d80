"""Writes the demo site to a folder, once: the folder is named after what made it."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from api.demo.annual_report import annual_report
from api.demo.company import REPORT_YEARS
from api.demo.other_documents import LATEST, presentation, press_release, quarterly_report
from api.demo.typeset import MissingReportlabError
from api.demo.web_pages import ANNUAL_REPORTS, PRESENTATION, PRESS_RELEASE, QUARTERLY_REPORT, pages


def ensure_site(home: Path) -> Path:
    """The folder of the finished site, built when it is not there yet.

    The same code and the same reportlab give the same bytes and file times. Two processes may
    build at once: both end with the same folder.

    Args:
        home: Millrace's home; the site goes to ``demo-site/<digest>`` in it.

    Raises:
        MissingReportlabError: The ``demo`` extra is not installed.
        OSError: The folder cannot be written.
    """
    shelf = home / "demo-site"
    site = shelf / _digest()
    if site.is_dir():
        return site
    shelf.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=shelf))
    try:
        for path, body, published in _files():
            target = draft / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(body)
            moment = datetime(published.year, published.month, published.day, 7, tzinfo=UTC).timestamp()
            os.utime(target, (moment, moment))
        draft.chmod(0o755)
        draft.rename(site)
    except OSError:
        if not site.is_dir():
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return site


def _files() -> Iterator[tuple[str, bytes, date]]:
    for path, text in pages().items():
        yield path, text.encode(), date(LATEST, 10, 24)
    for year, link in zip(REPORT_YEARS, ANNUAL_REPORTS, strict=True):
        yield link.path.lstrip("/"), annual_report(year), link.published
    for link, make in (
        (QUARTERLY_REPORT, quarterly_report),
        (PRESENTATION, presentation),
        (PRESS_RELEASE, press_release),
    ):
        yield link.path.lstrip("/"), make(), link.published


def _digest() -> str:
    try:
        made_by = [version("reportlab").encode()]
    except PackageNotFoundError as error:
        raise MissingReportlabError from error
    made_by += [source.read_bytes() for source in sorted(Path(__file__).parent.glob("*.py"))]
    return hashlib.sha256(b"\0".join(made_by)).hexdigest()[:16]
