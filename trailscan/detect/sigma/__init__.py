"""Sigma rules over an archive: read by pySigma, turned into conditions as values, asked of DuckDB with parameters.

Rules are hostile: no text of theirs becomes SQL, and what they can cost is bounded. Source: SigmaHQ, "Sigma rules
specification" and "Sigma correlation rules specification", version 2.
"""
