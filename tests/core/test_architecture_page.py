"""The architecture page shows the job's table as it is."""

from pathlib import Path

from rehost.core.job import diagram

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_page_holds_the_job_diagram() -> None:
    assert f"```mermaid\n{diagram()}```" in PAGE.read_text()
