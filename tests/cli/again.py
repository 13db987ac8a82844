"""A run of a job that runs again and again, and what its image has."""

import subprocess

from rehost.core.job import JobState
from tests.cli.serving import Agent, ControlPlane


def run_once(plane: ControlPlane, agent: Agent, job_id: str) -> str:
    """The image of a run that is asked for by hand."""
    plane.client().call("StartReplicationJob", {"JobId": job_id})
    assignment = agent.wait_for_assignment()
    roots = agent.copy(assignment)
    assert roots is not None
    agent.tell(assignment, roots)
    return plane.until_state(job_id, JobState.WAITING).image_id


def contents(plane: ControlPlane, image: str) -> list[bytes]:
    flat, found = plane.data / "flat", []
    for overlay in sorted((plane.data / "images" / image).glob("*.qcow2")):
        subprocess.run(["qemu-img", "convert", "-O", "raw", overlay, flat], check=True)
        found.append(flat.read_bytes())
    return found
