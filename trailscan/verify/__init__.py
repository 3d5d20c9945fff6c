"""Verification, offline: hashes, digest chains, signatures, and what was delivered but is not stored."""
