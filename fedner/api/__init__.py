"""What `import fedner` offers: runs.py opens finished runs, training.py makes new ones, tagging.py uses their models.

`fedner/__init__.py` imports a name from here when it is first used.
"""
