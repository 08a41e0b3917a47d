"""What is said of files that are passed over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cupel.core.finding import Finding, Severity
from cupel.modalities.image.reading.table import listed


def skipped_files(names: Sequence[str], *, where: Path) -> list[Finding]:
    """One finding on all that was passed over; none where nothing was."""
    if not names:
        return []
    return [
        Finding(
            code="skipped-files",
            severity=Severity.NOTE,
            where=str(where),
            what=f"Among files and hidden folders, {len(names)} passed over as no pictures: {listed(names)}.",
            action="They are not read. Pictures end in .jpg, .png, .webp, .gif, .tif or .bmp.",
        )
    ]
