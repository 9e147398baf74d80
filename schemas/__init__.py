"""Pydantic models of what crosses a boundary: settings, jobs, stage payloads, results."""
