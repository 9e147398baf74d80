"""Audits of files at hand: `audit-page`, `robots-check`, `eval audit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli.screen import Json, next_step, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable

_SEVERITIES: Final = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "bright_black"}
_SHOWN: Final = 3

PageFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The document as it was fetched, decoded.", dir_okay=False)
]
Url = Annotated[str, typer.Option("--url", metavar="URL", help="Where it was fetched from.")]
Status = Annotated[int, typer.Option("--status", metavar="N", min=100, max=599, help="The HTTP status of the answer.")]
HeaderList = Annotated[
    list[str] | None,
    typer.Option(
        "--header", "-H", metavar="'NAME: VALUE'", help="A header of the answer; repeat. None given: not known."
    ),
]


def audit_page(
    file: PageFile, *, url: Url, status: Status = 200, header: HeaderList = None, as_json: Json = False
) -> None:
    """Audit one document: what is wrong with it, with evidence; what needs more than the document is not measured."""
    from datetime import UTC, datetime

    from consumers.audit.alone import as_json as public
    from consumers.audit.alone import audit_document
    from consumers.audit.document import Document, headers_of
    from consumers.audit.rules import Context

    if not url.lower().startswith(("http://", "https://")):
        raise typer.BadParameter(
            f"{url!r} is no web address; give it whole, like https://example.com/page", param_hint="--url"
        )
    pairs = [_header(one) for one in header or ()]
    document = Document(url=url, status=status, headers=headers_of(pairs) if header else None, body=_content(file))
    found = public(*audit_document(document, Context(today=datetime.now(UTC).date())))
    if as_json:
        print_json(found)
        return
    for issue in found["issues"]:
        say(f"{issue['severity']:>8}  {issue['id']}", _SEVERITIES[issue["severity"]])
        for one in issue["evidence"][:_SHOWN]:
            say(f"          {one['detail']}" + (f"  {one['snippet']}" if one["snippet"] else ""), "bright_black")
        if issue["count"] > _SHOWN:
            say(f"          … {issue['count'] - _SHOWN} more", "bright_black")
    say(
        f"{len(found['issues'])} issues, {len(found['passed'])} rules passed, "
        f"{len(found['not_applicable'])} not applicable, "
        f"{len(found['not_measured'])} not measured."
    )
    next_step(
        ("audit-page … --json", "prints all evidence and the signals"), ("submit audit URL", "audits the whole site")
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{text!r} is no header; write it as 'Name: value'", param_hint="--header")
    return name, value


def _content(file: Path) -> bytes:
    from streams.errors import MillraceError

    try:
        return file.read_bytes()
    except OSError as error:
        raise MillraceError(f"{file} cannot be read: {error.strerror}; name a file that is there") from error


RobotsFile = Annotated[Path, typer.Argument(metavar="FILE", help="A robots.txt.", dir_okay=False)]
Agent = Annotated[str, typer.Option("--agent", metavar="A", help="The crawler's product token, such as Googlebot.")]
Urls = Annotated[list[str], typer.Argument(metavar="URL…", help="Addresses, or paths.")]


def robots_check(file: RobotsFile, urls: Urls, *, agent: Agent, as_json: Json = False) -> None:
    """Say whether a robots.txt lets a crawler fetch each URL (RFC 9309: longest match, allow on a tie)."""
    from consumers.net.robots import parse

    rules = parse(_content(file))
    answers = [(url, rules.allowed(agent, url)) for url in urls]
    if as_json:
        print_json({"agent": agent, "urls": [{"url": url, "allowed": allowed} for url, allowed in answers]})
        return
    for url, allowed in answers:
        say(f"{'allowed' if allowed else 'disallowed'} {url}", "green" if allowed else "red")
    next_step(("audit-page FILE --url https://…/robots.txt", "names the lines of it that are wrong"))


SitesFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR", help="Holds the sites as folders, and what is expected of them.", exists=True, file_okay=False
    ),
]


def evaluate_audit(folder: SitesFolder, *, as_json: Json = False) -> None:
    """Audit the sites of a folder on loopback and compare with what is known of them."""
    from api.cli.root import run
    from consumers.audit.evaluation import evaluate

    tell: Callable[[str], None] | None = None if as_json else lambda line: say(f"  {line}", "bright_black")
    found = run(evaluate(folder, tell=tell))
    if as_json:
        print_json(found)
        return
    columns = ("site", "pages", "Lighthouse", "broken found", "precision", "recall", "contacts", "seconds")
    print_table(columns, [_site_row(site) for site in found["sites"]], right=columns[1:])
    totals = found["totals"]
    print_table(("figure", "value"), [(name, value) for name, value in totals.items()], right=("value",))
    next_step((f"eval audit {folder} --json", "prints every disagreement"))


def _site_row(site: dict[str, Any]) -> tuple[str, ...]:
    def share(name: str) -> str:
        return "" if site.get(name) is None else f"{site[name]:.1%}"

    return (
        site["site"],
        str(site.get("pages", "")),
        share("lighthouse_agreement"),
        str(site.get("broken_links_found", "")),
        share("broken_links_precision"),
        share("broken_links_recall"),
        share("contacts_recall"),
        f"{site.get('seconds', 0):.1f}",
    )
