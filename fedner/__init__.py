"""fedner: federated fine-tuning of BERT token classifiers for named-entity recognition across institutions."""
