"""The tagger and what is done with it: model.py builds it, training.py trains it, inference.py predicts and evaluates.

tiny.py is an encoder without a download, device.py where arithmetic runs, batches.py what goes together, vocabulary.py
why the embedding is cheap to train, workspace.py what stays warm between rounds.
"""
