"""The agent on the source server: inventory, control client and senders."""
