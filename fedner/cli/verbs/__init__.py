"""The verbs: one module for each group, imported when a verb is called."""
