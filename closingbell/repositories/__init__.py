"""All SQL of the product. Functions take an open connection; their callers open and commit the transaction."""
