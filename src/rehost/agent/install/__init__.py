"""The agent's file, and how it gets onto a server and off it."""
