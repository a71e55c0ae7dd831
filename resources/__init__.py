"""What assets, schedules and sensors use: the warehouse, market data, the alert channel, and Dagster's own runs."""

from resources.alerting import AlertChannel
from resources.market import Market
from resources.warehouse import Warehouse

__all__ = ["AlertChannel", "Market", "Warehouse"]
