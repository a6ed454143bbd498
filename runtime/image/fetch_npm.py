"""Puts npm into the folder that is named, during the build of the image: `fetch_npm.py /opt/npm`.

Debian's npm is 350 packages and takes minutes to install; this is the same program as one archive, of
one version, checked against its hash. NPM_REGISTRY names a mirror; proxies and certificates are those
of the environment.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import ssl
import sys
import tarfile
import urllib.request
from pathlib import Path

VERSION = "10.9.9"
"""The newest that runs with the Node.js of Debian 12."""
SHA512 = "1g+6jLQvaIuB4zwvHL7yrXuXcWZwDsCtBX8bbWDqbvJSSr9nPiDDWTHNgwXR27iIcTTW7v3A57hDW9RYv2W4Yg=="
"""As the registry and every lock file say it."""
REGISTRY = "https://registry.example"
TIMEOUT_SECONDS = 60
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def main(folder: Path) -> None:
    registry = (os.environ.get("NPM_REGISTRY") or REGISTRY).rstrip("/")
    address = f"{registry}/npm/-/npm-{VERSION}.tgz"
    trusted = ssl.create_default_context(cafile=CERTIFICATES)
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS, context=trusted) as answer:
        content: bytes = answer.read()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        sys.exit(f"{address} is not npm {VERSION}: its hash is another")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if file is not None:
                # Everything is in one folder called `package`. Written by hand: root's umask, nobody else's owner.
                path = folder / entry.name.partition("/")[2]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.read())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
