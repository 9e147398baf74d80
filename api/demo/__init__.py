"""A demonstration company: its figures, its reports as PDFs and its investor-relations site.

Nothing here is real. The figures come from one small model (``company``), so what the
reports print can be compared line by line with the truth (``expected``).
"""
