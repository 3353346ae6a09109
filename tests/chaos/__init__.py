"""`make chaos`: many games on a whole system in which everything breaks all the time."""
