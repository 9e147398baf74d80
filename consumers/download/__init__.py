"""The download stage, one module a flow."""
