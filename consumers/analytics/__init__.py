"""Live analytics: what flows, how fast, how much of it fails and what is old, by windows over lifecycle; and alerts."""
