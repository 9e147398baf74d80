"""`millrace eval`: how well a flow reads, against a folder of expected values."""

import typer

from api.cli import audits, eval_filings

evaluations = typer.Typer(no_args_is_help=True, help="Measure how well a flow reads, against expected values.")
evaluations.command("audit")(audits.evaluate_audit)
evaluations.command("filings")(eval_filings.filings)
