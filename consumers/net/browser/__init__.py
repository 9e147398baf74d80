"""A real browser for what only a browser can read, behind the same guard as every other fetch."""

from consumers.net.browser.browser import Browser, BrowserConfig, Rendered
from consumers.net.browser.egress import EgressProxy, Refused

__all__ = ["Browser", "BrowserConfig", "EgressProxy", "Refused", "Rendered"]
