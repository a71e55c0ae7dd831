"""How fast the plant is: `make bench` prints one table of comparisons, each measured in the same run."""
