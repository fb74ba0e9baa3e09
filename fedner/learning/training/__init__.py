"""Local training: the loop of one site in one round, and the rules and terms that act on its gradients."""
