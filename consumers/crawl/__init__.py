"""The crawl stage, one module a flow."""
