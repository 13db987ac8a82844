"""The workflow "run": one generation of one run, from its start to the image."""

from rehost.flow.engine import Context
from rehost.flow.steps import NEXT, WAIT, Steps

NAME = "run"
LOOK_AGAIN = 600.0  # seconds: only for a signal that got lost, which upkeep sends again much earlier


def workflow_id(run_id: str, generation: int) -> str:
    return f"{run_id}.{generation}"


class RunWorkflow:
    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    async def __call__(self, context: Context, run_id: str, generation: str) -> None:
        """A step that does not say NEXT ends the workflow: the job's row says why."""
        of = (run_id, int(generation))
        if await context.step("prepare", lambda: self._steps.prepare(*of)) != NEXT:
            return
        outcome = await context.step("sync", lambda: self._steps.sync(*of))
        while outcome == WAIT:
            await context.receive(LOOK_AGAIN)
            outcome = await context.step("sync", lambda: self._steps.sync(*of))
        if outcome == NEXT and await self._process(context, *of):
            await context.step("clean", lambda: self._steps.clean(*of))

    async def _process(self, context: Context, run_id: str, generation: int) -> bool:
        """Three steps, so that a crash in the boot check does not cost the conversion."""
        of = (run_id, generation)
        return (
            await context.step("build", lambda: self._steps.build(*of), heavy=True) == NEXT
            and await context.step("check", lambda: self._steps.check(*of), heavy=True) == NEXT
            and await context.step("finish", lambda: self._steps.finish(*of)) == NEXT
        )
