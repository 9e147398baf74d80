"""What is asked of others: search engines, link graphs, language models, Google's PageSpeed, a local Lighthouse.

Each is a protocol with real providers behind it. An answer that could not be had is ``not_measured`` with the reason;
nothing is estimated in its place.
"""
