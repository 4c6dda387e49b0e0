"""From a manifest and files to the bytes of a model or features bundle.

The manifest is read here the way a box will read it, so that what a box would refuse is
never signed. The same manifest and files give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping

from terminal_client.core.manifest import read_manifest

MANIFEST = "manifest.json"
# Zip keeps a date per file; this is the earliest it can.
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def build_artifact(manifest: Mapping[str, object], files: Mapping[str, bytes]) -> bytes:
    """Return a zip of ``manifest`` and ``files``; ``files`` and their digests are added to it.

    Raises:
        DocumentError: the manifest is one that a box would refuse.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    whole = {**manifest, "files": digests}
    read_manifest(whole)
    text = json.dumps(whole, indent=1, sort_keys=True, allow_nan=False)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted({**files, MANIFEST: text.encode()}.items()):
            archive.writestr(zipfile.ZipInfo(name, _NO_DATE), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
