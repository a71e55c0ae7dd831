"""The asset graph that Dagster loads."""

from __future__ import annotations

import dagster as dg
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from assets.jobs import JOBS
from closingbell.batch.steps import STEPS
from closingbell.repositories import catalog
from definitions import defs

GRAPH = defs.resolve_asset_graph()
NODES = {key.to_user_string(): GRAPH.get(key) for key in GRAPH.get_all_asset_keys()}


def test_the_graph_changes_only_on_purpose(snapshot: SnapshotAssertion) -> None:
    """After an intended change, run ``pytest tests/assets/test_graph.py --snapshot-update`` and read the difference."""
    graph = {
        "assets": {
            name: {
                "depends on": sorted(parent.to_user_string() for parent in node.parent_keys),
                "group": node.group_name,
                "pool": sorted(node.pools or ()),
                "owners": list(node.owners),
                "tags": dict(node.tags),
                "code version": node.code_version,
                "checks": sorted(check.name for check in GRAPH.get_check_keys_for_assets({node.key})),
            }
            for name, node in NODES.items()
        },
        "jobs": sorted(job.name for job in JOBS),
        "schedules": {
            schedule.name: f"{schedule.cron_schedule} {schedule.execution_timezone}"
            for schedule in defs.schedules or ()
            if isinstance(schedule, dg.ScheduleDefinition)
        },
        "sensors": sorted(sensor.name for sensor in defs.sensors or ()),
    }
    assert graph == snapshot(extension_class=JSONSnapshotExtension)


def test_every_step_has_its_asset() -> None:
    assert set(NODES) == {step.name for step in STEPS}


def test_every_asset_runs_after_the_assets_that_it_depends_on() -> None:
    order = [step.name for step in STEPS]
    for name, node in NODES.items():
        assert all(order.index(parent.to_user_string()) < order.index(name) for parent in node.parent_keys), name


def test_every_asset_has_the_same_partitions_and_policy_and_the_pool_of_its_job() -> None:
    assert len({node.partitions_def for node in NODES.values()}) == 1
    assert {node.backfill_policy for node in NODES.values()} == {dg.BackfillPolicy.multi_run(63)}
    for step in STEPS:
        assert NODES[step.name].pools == {step.job.value}


def test_every_asset_says_who_owns_it_what_it_holds_and_in_which_columns() -> None:
    for step in STEPS:
        node = NODES[step.name]
        assert node.description
        assert node.owners
        assert node.code_version
        schema = node.metadata["dagster/column_schema"]
        assert isinstance(schema, dg.TableSchema | dg.TableSchemaMetadataValue)
        columns = schema.columns if isinstance(schema, dg.TableSchema) else schema.schema.columns
        assert [column.name for column in columns] == [column.name for column in catalog.columns_of(step.table)]


def test_every_asset_has_a_standing_check_of_its_partitions() -> None:
    for name, node in NODES.items():
        assert f"{name}_partitions" in {check.name for check in GRAPH.get_check_keys_for_assets({node.key})}
