"""The receiver: checks tickets, writes volumes, keeps the journal of durable chunks."""
