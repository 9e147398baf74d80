"""Site audits as values: a document becomes a `Page` of signals, rules judge pages and the site, scores follow.

Pure: no network, no store. `page.read_page` reads one document, `rules.audit_page` and `rules.audit_site` judge,
`score` and `fix_plan` make numbers and an order of work out of the verdicts.
"""
