"""A trained tagger as files that others can use."""
