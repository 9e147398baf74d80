"""Replay: jobs run again, from any stage, with what was recorded of them."""
