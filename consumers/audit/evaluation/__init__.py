"""How well the audit reads: sites served on loopback, audited, and compared with what is known of them."""

from consumers.audit.evaluation.evaluate import evaluate

__all__ = ["evaluate"]
