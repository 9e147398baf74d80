"""Images: as they are written, and as they answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from consumers.audit.rules.guards import html
from consumers.audit.rules.link_site import came_to
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not, unmeasured
from consumers.audit.rules.registry import page_rule, site_rule

if TYPE_CHECKING:
    from consumers.audit.page import Page
    from consumers.audit.site import Site

_LEGACY: Final = {"image/jpeg": "JPEG", "image/jpg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}
_MODERN: Final = ("avif", "webp", "jxl")
_LARGE_PX: Final = 300
"""Side from which an image is counted as a large one."""


def _has_images(page: Page, context: Context) -> Skip | None:
    return html(page, context) or (None if page.images else applies_not("it has no images"))


@page_rule(
    "img-alt-missing",
    "images",
    "medium",
    "core",
    "image",
    "html",
    _has_images,
    fix='Describe the image in alt; for decoration set alt="".',
)
def img_alt_missing(page: Page, _: Context) -> Iterator[Evidence]:
    """An img without alt attribute; an empty one, role=presentation and aria-hidden say decoration."""
    for one in page.images:
        if one.alt is None and not one.is_decorative:
            yield Evidence(page.url, "the image has no alt attribute", one.snippet, one.url or "")


@page_rule(
    "img-alt-long",
    "images",
    "info",
    "extended",
    "image",
    "html",
    _has_images,
    threshold="> 100 characters",
    fix="Shorten it; move detail to a caption.",
)
def img_alt_long(page: Page, context: Context) -> Iterator[Evidence]:
    """The alt text is longer than the threshold."""
    for one in page.images:
        if one.alt and len(one.alt) > context.thresholds.alt_max:
            yield Evidence(
                page.url,
                f"{len(one.alt)} characters, more than {context.thresholds.alt_max}",
                one.alt[:200],
                one.url or "",
            )


@page_rule(
    "img-no-size",
    "images",
    "low",
    "extended",
    "image",
    "html",
    _has_images,
    fix="State width and height, so that the text does not jump when the image comes.",
)
def img_no_size(page: Page, _: Context) -> Iterator[Evidence]:
    """An img without width and height attributes and without an aspect ratio in its style."""
    for one in page.images:
        if not one.has_size:
            yield Evidence(page.url, "the image has no size", one.snippet, one.url or "")


@page_rule(
    "img-not-lazy",
    "images",
    "info",
    "extended",
    "image",
    "html",
    _has_images,
    threshold="> 10 images",
    fix="Set loading=lazy on images below the first screen, never on the largest visible one.",
)
def img_not_lazy(page: Page, context: Context) -> Iterator[Evidence]:
    """Many images without loading=lazy, or the first large image has it."""
    eager = [one for one in page.images if not one.is_lazy]
    if len(eager) > context.thresholds.lazy_images:
        yield Evidence(
            page.url, f"{len(eager)} images load at once, more than {context.thresholds.lazy_images}", eager[-1].snippet
        )
    large = next((one for one in page.images if (one.width or 0) >= _LARGE_PX or (one.height or 0) >= _LARGE_PX), None)
    if large is not None and large.is_lazy:
        yield Evidence(page.url, "the first large image is loaded lazily", large.snippet, large.url or "")


def _has_pictures(page: Page, context: Context) -> Skip | None:
    if skip := html(page, context):
        return skip
    has = page.pictures_without_img or any(one.formats for one in page.images)
    return None if has else applies_not("it has no picture elements")


@page_rule(
    "picture-without-img",
    "images",
    "medium",
    "core",
    "image",
    "html",
    _has_pictures,
    fix="Add the img that picture needs.",
)
def picture_without_img(page: Page, _: Context) -> Iterator[Evidence]:
    """A picture has no img child: nothing is shown."""
    for one in page.pictures_without_img:
        yield Evidence(page.url, "the picture has no img", one)


# Of the site


def _images_asked(site: Site) -> Skip | None:
    if not site.images:
        return applies_not("there are no images")
    return None if any(site.answer(url) for url in site.images) else unmeasured("images were not asked")


@site_rule(
    "img-broken", "images", "high", "core", "image", "crawl", _images_asked, fix="Bring the image back, or remove it."
)
def img_broken(site: Site) -> Iterator[Evidence]:
    """An image request answers 4xx or 5xx, or something that is no image."""
    for url, sources in site.images.items():
        answer = site.answer(url)
        if answer is None:
            continue
        if answer.is_error:
            detail = came_to(answer)
        elif (
            answer.content_type
            and not answer.content_type.startswith("image/")
            and answer.content_type != "application/octet-stream"
        ):
            detail = f"the target is {answer.content_type}, no image"
        else:
            continue
        for source in dict.fromkeys(sources):
            yield Evidence(source, detail, target=url)


@site_rule(
    "img-large",
    "images",
    "medium",
    "core",
    "image",
    "headers",
    _images_asked,
    threshold="> 500 kB",
    fix="Compress or resize the image.",
)
def img_large(site: Site) -> Iterator[Evidence]:
    """An image file is larger than the threshold."""
    for url, sources in site.images.items():
        answer = site.answer(url)
        if answer is not None and not answer.is_error and (answer.size_bytes or 0) > site.thresholds.image_bytes:
            yield Evidence(
                sources[0],
                f"{(answer.size_bytes or 0) / 1000:,.0f} kB, more than {site.thresholds.image_bytes / 1000:,.0f}",
                target=url,
            )


@site_rule(
    "img-legacy-format",
    "images",
    "low",
    "extended",
    "image",
    "headers",
    _images_asked,
    threshold="> 100 kB",
    fix="Offer the image as AVIF or WebP.",
)
def img_legacy_format(site: Site) -> Iterator[Evidence]:
    """A larger photograph is served as JPEG, PNG or GIF only."""
    modern = {
        urlsplit(url).path.rpartition(".")[0]
        for url, (kind, _) in site.resources.items()
        if kind == "image" and urlsplit(url).path.endswith(_MODERN)
    }
    for url, sources in site.images.items():
        answer = site.answer(url)
        if answer is None or answer.is_error or answer.content_type not in _LEGACY:
            continue
        if (answer.size_bytes or 0) > site.thresholds.legacy_image_bytes and urlsplit(url).path.rpartition(".")[
            0
        ] not in modern:
            yield Evidence(
                sources[0], f"{(answer.size_bytes or 0) / 1000:,.0f} kB as {_LEGACY[answer.content_type]}", target=url
            )
