"""The database: schema, migrations and records."""
