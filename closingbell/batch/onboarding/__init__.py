"""Onboarding: newly requested symbols and changed portfolios get the rows of the nightly batch within seconds."""

from closingbell.batch.onboarding.pending import pending_work
from closingbell.batch.onboarding.portfolios import write_portfolios
from closingbell.batch.onboarding.run import Onboarding, OnboardingResult, SymbolOutcome

__all__ = ["Onboarding", "OnboardingResult", "SymbolOutcome", "pending_work", "write_portfolios"]
