"""Chaos: real processes, faults drawn from a seed, and a checker that finds what was lost or done twice."""
