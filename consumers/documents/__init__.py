"""Documents as text: what a file is, what it says and where, and how its text is cut into passages. Pure."""
