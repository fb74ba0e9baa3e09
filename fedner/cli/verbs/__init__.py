"""The work of the verbs, imported when a verb's options are read; each function takes them."""
