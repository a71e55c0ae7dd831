"""All SQL of the product. Functions take an open connection; transactions belong to their callers."""
