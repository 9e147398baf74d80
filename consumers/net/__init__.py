"""The network as the stages see it: guarded fetching, robots.txt, politeness."""
