"""The actions of the SMC API, each described as data with the function that carries it out."""

from rehost.api.actions import cross_zone, jobs, servers, tags, tokens, webhooks, workgroups
from rehost.api.spec import Action

ACTIONS: dict[str, Action] = {
    action.name: action
    for table in (servers, jobs, tags, tokens, workgroups, webhooks, cross_zone)
    for action in table.ACTIONS
}
