"""The federation: aggregation, wire format, rounds, the two Flower apps and the in-process grid."""
