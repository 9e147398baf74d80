"""The dashboard: pages for operators, rendered here from what the API answers, with plain scripts beside them."""
