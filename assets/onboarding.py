"""Instant onboarding: a job of its own, since it must not wait behind a batch, nor mark a day as materialized."""

import dagster as dg

from assets.records import recorded
from closingbell.batch.onboarding import Learnt, Onboarding, Outcomes
from closingbell.install import runtime
from closingbell.market.calendar import NEW_YORK
from closingbell.market.occ import parse_occ
from closingbell.operations.jobs import JobType
from resources.market import Market
from resources.warehouse import Warehouse


def learn_requested(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, warehouse: Warehouse, market: Market
) -> Outcomes:
    """Learn every symbol that has been asked for; each shows as an observation of its prices."""
    onboarding = Onboarding(
        warehouse.open(), market.provider(), market.calendar(), market.latest_session(), context.run.run_id
    )

    def observe(learnt: Learnt) -> None:
        metadata: dict[str, str | bool] = {"symbol": learnt.symbol, "active": learnt.done, "reason": learnt.reason}
        asset = "option_prices" if parse_occ(learnt.symbol) else "prices"
        context.log_event(dg.AssetObservation(asset, description=f"{learnt.symbol} was asked for", metadata=metadata))

    return onboarding.run(observe)


@dg.op(pool=JobType.SYMBOL_ONBOARDING.value)
def onboard(context: dg.OpExecutionContext, warehouse: Warehouse, market: Market) -> None:
    """Learn the symbols that have been asked for, and write the portfolios that hold them."""

    def work() -> tuple[int, dict[str, str]]:
        outcomes = learn_requested(context, warehouse, market)
        context.add_output_metadata(
            {
                "session": str(outcomes.session),
                "active": ", ".join(each.symbol for each in outcomes.symbols if each.done),
                "failed": outcomes.failed,
                "portfolios written": len(outcomes.portfolios),
            }
        )
        return len(outcomes.symbols), outcomes.failed

    day = runtime.now().astimezone(NEW_YORK).date()
    recorded(context, warehouse, JobType.SYMBOL_ONBOARDING, day, work)


# Somebody waits for it: it goes before whatever else is queued.
@dg.job(executor_def=dg.in_process_executor, tags={"dagster/priority": "10"})
def symbol_onboarding() -> None:
    """Learns the symbols of new portfolios as they are uploaded."""
    onboard()
