"""Findings about text on a terminal: audits, overlap between sites, mappings, statistics."""
