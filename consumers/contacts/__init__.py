"""How to reach whoever is behind a website: e-mails, phones, address, social profiles. Pure.

`read.contacts_of` reads one page; `read.merged` joins what the pages of a site say.
"""
