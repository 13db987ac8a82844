"""Durable execution of runs, behind the engine port."""
