"""The extract stage, one module a flow."""
