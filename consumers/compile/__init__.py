"""The compile stage, one module a flow."""
