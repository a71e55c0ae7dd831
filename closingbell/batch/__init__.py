"""The steps of the nightly batch: each reads its inputs, calculates, and replaces its rows in one transaction.

Onboarding runs the same steps for a few symbols or portfolios.
"""
