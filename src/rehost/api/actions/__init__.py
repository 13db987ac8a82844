"""The actions of the SMC API, each described as data with the function that carries it out."""

from rehost.api.actions import jobs, servers
from rehost.api.spec import Action

ACTIONS: dict[str, Action] = {action.name: action for action in (*servers.ACTIONS, *jobs.ACTIONS)}
