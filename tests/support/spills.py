"""Local memory of compiled GPU kernels: what did not fit into registers. Needs Triton, whose tools read the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def spilled(cubin: bytes, folder: Path) -> int:
    """Bytes of local memory of one thread."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    path = folder / "made.cubin"
    path.write_bytes(cubin)
    said = subprocess.run([str(tool), "--dump-resource-usage", str(path)], capture_output=True, text=True, check=True).stdout
    found = re.search(r"STACK:(\d+).*LOCAL:(\d+)", said)
    assert found, said
    return int(found[1]) + int(found[2])
