"""Mail as a job of its own: one task for each addressee."""
