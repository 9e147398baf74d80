"""Stages, the runtime that feeds them, and the domain code of each flow."""
