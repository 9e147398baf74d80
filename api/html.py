"""The pages as HTML. Every value goes through `escape`."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final, get_args
from urllib.parse import quote

from schemas.jobs import ENDED, JobStatusName
from schemas.names import STAGES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from schemas.jobs import JobView

_STATUSES: Final[tuple[str, ...]] = get_args(JobStatusName)


def jobs_page(jobs: list[JobView], cursor: str | None, status: str | None) -> str:
    """The list of jobs."""
    links = " ".join(
        f'<a href="/{f"?status={one}" if one else ""}"{_current(one == (status or ""))}>{one or "all"}</a>'
        for one in ("", *_STATUSES)
    )
    rows = "".join(
        f'<tr><td><a href="/jobs/{quote(job.job_id)}">{escape(job.job_id)}</a></td><td>{escape(job.flow)}</td>'
        f"<td>{_badge(job.status)}</td><td>{_meter(job)}</td><td>{escape(job.progress.step)}</td>"
        f"<td>{_time(job.created_at)}</td><td>{_time(job.finished_at)}</td></tr>"
        for job in jobs
    )
    if not jobs:
        hint = "<code>./millrace submit</code> or <code>POST /api/v1/jobs</code>"
        rows = f'<tr><td colspan="7">No jobs here: {hint}</td></tr>'
    query = f"status={status}&amp;" if status else ""
    more = f'<p><a href="/?{query}cursor={quote(cursor)}">Older jobs</a></p>' if cursor else ""
    return _page(
        "Jobs",
        f"<h1>Jobs</h1><nav aria-label='Status'>{links}</nav><table><thead><tr><th>Job</th><th>Flow</th><th>Status</th>"
        f"<th>Progress</th><th>Step</th><th>Created</th><th>Finished</th></tr></thead><tbody>{rows}</tbody></table>{more}",
    )


def job_page(job: JobView) -> str:
    """A job; its script follows the event stream while it runs."""
    rows = "".join(
        f'<tr data-stage="{stage}"><th scope="row">{stage}</th>'
        + "".join(f'<td data-count="{name}">{_count(job, stage, name)}</td>' for name in ("open", "done", "failed"))
        + "</tr>"
        for stage in STAGES
    )
    parts = " ".join(
        f'<a href="{escape(job.links[part])}">{part}</a>' for part in ("result", "artifacts", "logs", "trace", "self")
    )
    is_live = "" if job.status in ENDED else " data-live"
    return _page(
        f"Job {job.job_id}",
        f"<h1>{escape(job.flow)} <small>{escape(job.job_id)}</small></h1>"
        f'<main id="job" data-job="{escape(job.job_id)}"{is_live}>'
        f'<p><span id="status">{_badge(job.status)}</span> {_meter(job, name="percent")} '
        f'<span id="step" aria-live="polite">{escape(job.progress.step)}</span></p>'
        f'<p id="error" class="error">{escape(job.error or "")}</p>'
        "<table><thead><tr><th>Stage</th><th>Open</th><th>Done</th><th>Failed</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><p>Created {_time(job.created_at)}, revision {job.revision}, "
        f"trace <code>{escape(job.trace_id)}</code></p><p>{parts}</p>"
        '<h2>Events</h2><ol id="events"></ol></main>',
    )


def sign_in_page() -> str:
    """Asks for an API key."""
    return _page(
        "Sign in",
        '<h1>Sign in</h1><form id="sign-in"><label>API key '
        '<input name="key" type="password" autocomplete="off" required></label> <button>Sign in</button></form>'
        '<p id="error" class="error" role="alert"></p>'
        "<p>An operator makes a key with <code>millrace keys create NAME</code>.</p>",
    )


def docs_page(openapi: dict[str, Any]) -> str:
    """What the API has, from its own description."""
    parts = []
    models = openapi.get("components", {}).get("schemas", {})
    for path, methods in openapi["paths"].items():
        for method, told in methods.items():
            fields = told.get("parameters", [])
            rows = "".join(_parameter(one) for one in fields)
            content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
            body = models.get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
            needed = body.get("required", ())
            rows += "".join(
                _parameter({"name": name, "in": "body", "required": name in needed, "schema": schema})
                for name, schema in body.get("properties", {}).items()
            )
            table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
            parts.append(
                f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
                f"<p>{escape(told.get('description', ''))}</p>{table}</section>"
            )
    return _page(
        "API",
        f"<h1>{escape(openapi['info']['title'])} API {escape(openapi['info']['version'])}</h1>"
        "<p>Errors are <code>application/problem+json</code> (RFC 9457). The description for tools: "
        f'<a href="/api/v1/openapi.json">openapi.json</a>.</p>{"".join(parts)}',
    )


def _parameter(one: dict[str, Any]) -> str:
    required = ", required" if one.get("required") else ""
    return (
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}{required}</td>"
        f"<td>{escape(_type(one.get('schema', {})))}</td></tr>"
    )


def _type(schema: dict[str, Any]) -> str:
    options: Iterable[dict[str, Any]] = schema.get("anyOf", [schema])
    names = [
        "/".join(map(str, one["enum"])) if "enum" in one else str(one.get("type") or one.get("$ref", "any"))
        for one in options
    ]
    return " or ".join(name.rpartition("/schemas/")[2] for name in names if name != "null")


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} - Millrace</title>"
        '<link rel="stylesheet" href="/static/app.css"><script src="/static/app.js" defer></script></head>'
        f'<body><header><a href="/">Millrace</a> <a href="/docs">API</a></header>{body}</body></html>'
    )


def _badge(status: str) -> str:
    return f'<span class="badge {status}">{status}</span>'


def _meter(job: JobView, name: str = "") -> str:
    label = f' id="{name}"' if name else ""
    return f'<progress{label} max="100" value="{job.progress.percent:g}">{job.progress.percent:g} %</progress>'


def _time(at: datetime | None) -> str:
    return f'<time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M:%S} UTC</time>' if at else ""


def _count(job: JobView, stage: str, name: str) -> int:
    counts = job.stages.get(stage)
    return getattr(counts, name) if counts is not None else 0


def _current(is_it: bool) -> str:  # noqa: FBT001 - one question
    return ' aria-current="page"' if is_it else ""
