"""How to reach whoever is behind a website: e-mails, phones, address, social profiles. Pure."""

from consumers.contacts.phones import phones_in_text, region_of

__all__ = ["phones_in_text", "region_of"]
