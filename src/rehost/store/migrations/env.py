"""Alembic's entry: it runs on the connection that `rehost.store.upgrade` hands over."""

from alembic import context

from rehost.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
