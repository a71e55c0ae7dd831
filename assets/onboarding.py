"""Instant onboarding: a job of its own, since it must not wait behind a batch, nor mark a day as materialized."""

import dagster as dg

from assets.records import recorded
from closingbell.batch.onboarding import Onboarding, OnboardingResult, SymbolOutcome
from closingbell.install import runtime
from closingbell.market.calendar import NEW_YORK
from closingbell.market.occ import parse_occ
from closingbell.operations.jobs import JobType
from resources.market import Market
from resources.warehouse import Warehouse


def onboard_requested(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, warehouse: Warehouse, market: Market
) -> OnboardingResult:
    """Learn every symbol that has been asked for; each shows as an observation of its prices."""
    onboarding = Onboarding(
        warehouse.open(), market.provider(), market.calendar(), market.latest_session(), context.run.run_id
    )

    def observe(outcome: SymbolOutcome) -> None:
        metadata: dict[str, str | bool] = {"symbol": outcome.symbol, "active": outcome.done, "reason": outcome.reason}
        asset = "option_prices" if parse_occ(outcome.symbol) else "prices"
        context.log_event(dg.AssetObservation(asset, description=f"{outcome.symbol} was asked for", metadata=metadata))

    return onboarding.run(observe)


@dg.op(pool=JobType.SYMBOL_ONBOARDING.value)
def onboard(context: dg.OpExecutionContext, warehouse: Warehouse, market: Market) -> None:
    """Learn the symbols that have been asked for, and write the portfolios that hold them."""

    def work() -> tuple[int, dict[str, str]]:
        result = onboard_requested(context, warehouse, market)
        context.add_output_metadata(
            {
                "session": str(result.session),
                "active": ", ".join(each.symbol for each in result.symbols if each.done),
                "failed": result.failed,
                "portfolios written": len(result.portfolios),
            }
        )
        return len(result.symbols), result.failed

    day = runtime.now().astimezone(NEW_YORK).date()
    recorded(context, warehouse, JobType.SYMBOL_ONBOARDING, day, work)


# Somebody waits for it: it goes before whatever else is queued.
@dg.job(executor_def=dg.in_process_executor, tags={"dagster/priority": "10"})
def symbol_onboarding() -> None:
    """Learns the symbols of new portfolios as they are uploaded."""
    onboard()
