"""The networks: C2Matching and the parts that it is made of."""
