"""Filings: find a company's reports, read their statements, compile them. Pure: no Redis, HTTP or database."""
