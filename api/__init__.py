"""HTTP, command line and Python client: the ways into Millrace."""
