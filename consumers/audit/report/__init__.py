"""The report of an audit: Markdown first, HTML and PDF from it. Pure; what comes from a site is text, never markup."""
