"""Instant onboarding: a separate job, so that it neither waits behind a batch nor marks sessions as materialized."""

import dagster as dg

from assets.run_record import recorded
from closingbell.batch.onboarding import Onboarding, OnboardingResult, SymbolOutcome
from closingbell.install import runtime
from closingbell.market.calendar import NEW_YORK
from closingbell.market.occ import parse_occ
from closingbell.operations.jobs import JobType
from resources import Market, Warehouse


def onboard_requested(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, warehouse: Warehouse, market: Market
) -> OnboardingResult:
    """Onboard the requested symbols, and log each as an observation of its prices."""
    onboarding = Onboarding(
        warehouse.open(), market.provider(), market.calendar(), market.latest_session(), context.run.run_id
    )

    def observe(outcome: SymbolOutcome) -> None:
        metadata: dict[str, str | bool] = {"symbol": outcome.symbol, "active": outcome.done, "reason": outcome.reason}
        asset = "option_prices" if parse_occ(outcome.symbol) else "prices"
        context.log_event(dg.AssetObservation(asset, description=f"{outcome.symbol} was requested", metadata=metadata))

    return onboarding.run(observe)


@dg.op(pool=JobType.SYMBOL_ONBOARDING.value)
def onboard(context: dg.OpExecutionContext, warehouse: Warehouse, market: Market) -> None:
    """Onboard the requested symbols, and write the portfolios that hold them."""

    def work() -> tuple[int, dict[str, str]]:
        result = onboard_requested(context, warehouse, market)
        context.add_output_metadata(
            {
                "session": str(result.session),
                "active": ", ".join(outcome.symbol for outcome in result.symbols if outcome.done),
                "failed": result.failed,
                "portfolios written": len(result.portfolios),
            }
        )
        return len(result.symbols), result.failed

    day = runtime.now().astimezone(NEW_YORK).date()
    recorded(context, warehouse, JobType.SYMBOL_ONBOARDING, day, work)


# A user waits for this job, so it precedes all others in the queue.
@dg.job(executor_def=dg.in_process_executor, tags={"dagster/priority": "10"})
def symbol_onboarding() -> None:
    """Onboards the symbols of new portfolios as they are uploaded."""
    onboard()
