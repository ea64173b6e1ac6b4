"""What is told of every change, after its commit: the row to everyone and to its committee, then the dashboard."""
import models
from websocket_utils import Cache, broadcast, message

EVENTS = {"guarantees": "guarantee_update", "attendance": "attendance_update", "voting": "voting_update"}
dashboard_cache = Cache(lambda: models.dashboard())


def post_save(table, row, created, raw=False):
    if raw:  # part of an import: post_import tells of all of them
        return
    _announce(table, "create" if created else "update", row, [row["committee_id"]], f"{row['id']}-v{row['version']}")


def post_delete(table, row):
    _announce(table, "delete", row, [row["committee_id"]], f"{row['id']}-v{row['version']}")


def post_import(table, rows):
    committees = sorted({row["committee_id"] for row in rows})
    summary = {"count": len(rows), "committee_ids": committees, "version": rows[-1]["version"]}
    _announce(table, "create", summary, committees, f"import-v{summary['version']}")


def invalidate_dashboard_cache():
    dashboard_cache.invalidate()


def _announce(table, action, data, committees, key):
    def announce():
        # Before the event: whoever asks because of it must not be answered from before it.
        invalidate_dashboard_cache()
        update = {"action": action, "data": data}
        groups = ["election_updates", *(f"committee:{id}" for id in committees)]
        broadcast(
            [message(group, EVENTS[table], update, f"{table}-{key}") for group in groups]
            + [message("election_updates", "dashboard_update", dashboard_update(action), f"dashboard-{table}-{key}")]
        )

    models.on_commit(announce)


def dashboard_update(action):
    return {"action": action, "data": dashboard_cache.get()}
