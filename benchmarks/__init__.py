"""Speed and memory of the plant: `make bench` prints one table of comparisons, each measured within one run."""
