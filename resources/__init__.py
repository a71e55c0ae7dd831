"""What assets, schedules and sensors talk to: the warehouse, market data, alerts, and Dagster's own runs."""

from resources.alerting import AlertChannel
from resources.market import Market
from resources.warehouse import Warehouse

__all__ = ["AlertChannel", "Market", "Warehouse"]
