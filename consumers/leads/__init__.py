"""Businesses of a listing as leads: how listings are read, who is who, and how good a lead is."""
