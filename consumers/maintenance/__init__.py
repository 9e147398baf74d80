"""What keeps a Millrace in order: a flow of its own, whose jobs the built-in schedules submit."""
