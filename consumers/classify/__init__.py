"""The classify stage, one module a flow."""
