"""What assistive technology needs and markup can show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from consumers.audit.rules.guards import html
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import page_rule

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.rules.model import PageGuard


def _has(kind: str) -> PageGuard:
    def guard(page: Page, context: Context) -> Skip | None:
        return html(page, context) or (
            None if any(one.kind == kind for one in page.controls) else applies_not(f"it has no {kind}s")
        )

    return guard


def _unnamed(page: Page, kind: str, detail: str) -> Iterator[Evidence]:
    for one in page.controls:
        if one.kind == kind and not one.is_named:
            yield Evidence(page.url, detail, one.snippet)


@page_rule(
    "a11y-form-label",
    "accessibility",
    "medium",
    "core",
    "page",
    "html",
    _has("field"),
    fix="Give the field a label element, aria-label or aria-labelledby.",
)
def a11y_form_label(page: Page, _: Context) -> Iterator[Evidence]:
    """A form field has no label, aria-label or aria-labelledby; a placeholder is no label."""
    return _unnamed(page, "field", "the field has no label")


@page_rule(
    "a11y-button-name",
    "accessibility",
    "medium",
    "core",
    "page",
    "html",
    _has("button"),
    fix="Give the button text or an aria-label.",
)
def a11y_button_name(page: Page, _: Context) -> Iterator[Evidence]:
    """A button has no accessible name."""
    return _unnamed(page, "button", "the button has no name")


@page_rule(
    "a11y-frame-title", "accessibility", "low", "extended", "page", "html", _has("frame"), fix="Give the frame a title."
)
def a11y_frame_title(page: Page, _: Context) -> Iterator[Evidence]:
    """An iframe has no title and no other accessible name."""
    return _unnamed(page, "frame", "the frame has no title")


@page_rule(
    "a11y-landmark-main",
    "accessibility",
    "low",
    "extended",
    "page",
    "html",
    html,
    fix="Wrap the content in a main element.",
)
def a11y_landmark_main(page: Page, _: Context) -> Iterator[Evidence]:
    """There is no main element and no element of that role."""
    if not page.has_main:
        yield Evidence(page.url, "there is no main element")


def _seen(_: Page, context: Context) -> Skip | None:
    if any("color-contrast" in run.audits for run in context.lighthouse):
        return None
    return unmeasured("colours were not looked at in a browser")


@page_rule(
    "a11y-contrast",
    "accessibility",
    "medium",
    "core",
    "page",
    "browser",
    html,
    _seen,
    threshold="4.5",
    fix="Darken or lighten the colours.",
)
def a11y_contrast(page: Page, context: Context) -> Iterator[Evidence]:
    """Text contrast is under 4.5:1 (3:1 for large text)."""
    for run in context.lighthouse:
        if (run.audits.get("color-contrast") or {}).get("score") == 0:
            yield Evidence(page.url, f"{run.strategy}: text has too little contrast")


@page_rule(
    "a11y-phone-not-link", "accessibility", "info", "extended", "page", "html", html, fix="Make the number a tel: link."
)
def a11y_phone_not_link(page: Page, _: Context) -> Iterator[Evidence]:
    """A phone number in the text is not a tel: link."""
    for one in page.unlinked_phones:
        yield Evidence(page.url, "the number cannot be tapped", one)
