"""Profiles on social networks: links to somebody, not to a button that shares."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_NETWORKS: Final = {
    "facebook.com": "facebook", "fb.com": "facebook", "fb.me": "facebook", "instagram.com": "instagram",
    "linkedin.com": "linkedin",
    "twitter.com": "x", "x.com": "x", "youtube.com": "youtube", "tiktok.com": "tiktok", "pinterest.com": "pinterest",
    "threads.net": "threads", "threads.com": "threads", "xing.com": "xing", "vimeo.com": "vimeo",
    "snapchat.com": "snapchat", "t.me": "telegram",
    "telegram.me": "telegram", "wa.me": "whatsapp", "github.com": "github", "bsky.app": "bluesky",
    "medium.com": "medium", "reddit.com": "reddit",
    "tripadvisor.com": "tripadvisor", "yelp.com": "yelp", "nextdoor.com": "nextdoor", "flickr.com": "flickr",
    "twitch.tv": "twitch",
    "discord.gg": "discord", "soundcloud.com": "soundcloud", "behance.net": "behance", "dribbble.com": "dribbble",
}  # fmt: skip
_NO_PROFILE: Final = re.compile(
    r"^/(?:$|sharer|share(?:[.?/]|$)|intent|home|search|hashtag|dialog|plugins|tr(?:[?/]|$)|login|signup|policies|privacy|legal|terms|about(?:/|$)|help|"
    r"shareArticle|sharing|cws/share|pin/create|submit|watch|embed|playlist|shorts|results|p/|reel/|reels/|stories|explore|tv/|"
    r"status/|i/|oauth|business/|v\d+\.\d+|feed|jobs|learning|pulse|groups?/?$|events?/)",
    re.IGNORECASE,
)
_POST: Final = re.compile(r"/(?:posts|status|statuses|videos|photos|permalink|reel|video)/", re.IGNORECASE)


def network_of(url: str) -> str | None:
    """The network whose profile a URL is; None for anything else, share buttons and single posts among them."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return None
    for domain, name in _NETWORKS.items():
        if host == domain or host.endswith(f".{domain}"):
            path = parts.path or "/"
            shares = name == "facebook" and re.match(r"/share/[^/]+/?$", path) is not None  # a page's short address
            if (_NO_PROFILE.match(path) and not shares) or _POST.search(path):
                return None
            return name if path.strip("/") or name == "telegram" else None
    return None
