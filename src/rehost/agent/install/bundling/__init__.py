"""Builds the agent's one self-contained file from the interpreter that runs this."""
