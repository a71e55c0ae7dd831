"""What assets talk to: the warehouse and the market."""

from resources.market import Market
from resources.warehouse import Warehouse

__all__ = ["Market", "Warehouse"]
