"""What a host that was away still has of jobs that were copied anew elsewhere meanwhile."""

from rehost.compute.driver import Driver, ImageState
from rehost.store.store import Store


def discard_strays(store: Store, driver: Driver, host: str) -> None:
    """Their replicas go, and so do images that were not ready. Those that are stay, with what they lie on."""
    strays = store.takeovers.moved_away(host, driver.generations())
    for image in driver.images() if strays else ():
        if image.job in strays and image.state is not ImageState.READY:
            driver.delete_image(image.id)
    for job in strays:
        driver.discard_replica(job)
